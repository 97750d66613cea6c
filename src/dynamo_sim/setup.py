"""Packaging of dynamo_sim: simulated stations on MuJoCo and the commands that use them."""

from setuptools import find_packages, setup

setup(
    name="dynamo_sim",
    version="0.1.0",
    description="Simulated stations on MuJoCo that speak the topics of the real drivers.",
    maintainer="DynaMo on ROS 2 maintainers",
    maintainer_email="maintainers@dynamo-ros.example.org",
    license="Apache-2.0",
    packages=find_packages(include=["dynamo_sim", "dynamo_sim.*"]),
    package_data={"dynamo_sim": ["py.typed", "**/*.xml", "**/*.yaml", "**/*.j2"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/dynamo_sim"]),
        ("share/dynamo_sim", ["package.xml"]),
    ],
    python_requires=">=3.10,<3.13",
    install_requires=["daqp>=0.7", "mink>=1", "mujoco>=3.3,<4.1", "numpy>=1.26,<3", "pyyaml>=6", "rich>=13"],
    entry_points={
        "console_scripts": [
            f"{name} = dynamo_sim.nodes.{name}:main" for name in ("station_node", "expert_node")
        ],
        "dynamo.commands": ["eval = dynamo_sim.cli.eval:COMMAND", "demo = dynamo_sim.cli.demo:COMMAND"],
    },
    zip_safe=True,
)
