"""Packaging of dynamo_policies: a plain Python package that needs no ROS, also built by colcon."""

from setuptools import find_packages, setup

setup(
    name="dynamo_policies",
    version="0.1.0",
    description="Learning without ROS: bags, encoders, DynaMo pretraining, policies, bundles.",
    maintainer="DynaMo on ROS 2 maintainers",
    maintainer_email="maintainers@dynamo-ros.example.org",
    license="Apache-2.0",
    packages=find_packages(include=["dynamo_policies", "dynamo_policies.*"]),
    package_data={"dynamo_policies": ["py.typed", "**/*.j2", "**/*.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/dynamo_policies"]),
        ("share/dynamo_policies", ["package.xml"]),
    ],
    python_requires=">=3.10,<3.13",
    install_requires=[
        "accelerate>=1.2,<2",
        "apsw>=3.40",
        "av>=14",
        "backports.zstd>=1; python_version < '3.14'",
        "jinja2>=3.1",
        "lz4>=4",
        "matplotlib>=3.8",
        "numpy>=1.26,<3",
        "opencv-python-headless>=4.9,<5",
        "pyyaml>=6",
        "rich>=13",
        "rosbags>=0.11,<0.12",
        "safetensors>=0.5",
        "scipy>=1.13",
        "tensorboard>=2.17",
        "torch>=2.5",
    ],
    extras_require={
        "engines": ["onnx>=1.16", "onnxruntime>=1.18", "openvino>=2024.4"],
        "export": ["pyarrow>=15"],
        "import": ["h5py>=3.8"],
        "wandb": ["wandb>=0.18"],
    },
    entry_points={
        "console_scripts": ["dynamo = dynamo_policies.cli.main:main"],
        "dynamo.commands": [
            "pretrain = dynamo_policies.cli.pretrain:COMMAND",
            "encoder = dynamo_policies.cli.encoder:COMMAND",
            "probe = dynamo_policies.cli.probe:COMMAND",
            "train = dynamo_policies.cli.train:COMMAND",
            "bags = dynamo_policies.cli.bags:COMMAND",
            "report = dynamo_policies.cli.report:COMMAND",
            "latency = dynamo_policies.cli.latency:COMMAND",
        ],
    },
    zip_safe=True,
)
