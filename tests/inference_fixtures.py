"""An inference node over real DDS, a robot that follows its commands, a bundle that drives to a goal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dynamo_policies.contract import Contract, load_contract
from ros_fixtures import Ros

if TYPE_CHECKING:
    from dynamo_ros.nodes.inference_node import InferenceNode
    from ideal_robot import Robot

GOAL = (0.45, 0.1, 0.3)
NODE = "/inference_node"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Path:
    """The file of a contract for computers that tests keep busy."""
    from ideal_robot import write_patient

    path = tmp_path_factory.mktemp("contract") / "patient.yaml"
    write_patient(contract, path)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, patient: Path) -> Path:
    """A bundle that drives to GOAL and closes the gripper."""
    from bundle_factory import write_bundle

    return write_bundle(tmp_path_factory.mktemp("bundle"), load_contract(patient), GOAL, gripper=1.0)


@pytest.fixture
def robot(ros: Ros, contract: Contract) -> Robot:
    """A robot that is at once where it is sent."""
    from ideal_robot import Robot

    return Robot(ros.node("robot"), contract)


@pytest.fixture
def inference(ros: Ros, bundle: Path, patient: Path, robot: Robot) -> InferenceNode:
    """A configured inference node to which all streams have come."""
    return configured(ros, robot, bundle, patient)


def configured(ros: Ros, robot: Robot, bundle: Path, contract: Path, **parameters: Any) -> InferenceNode:
    """Return an inference node, configured, when all streams have come."""
    node = made(ros, **{"bundle": str(bundle), "contract": str(contract), "task": "put_yogurt"} | parameters)
    assert change(ros, robot, "configure")
    ros.until(lambda: node._runner.ready(node._now_ns()), what="all streams fresh")
    return node


def made(ros: Ros, **parameters: Any) -> InferenceNode:
    """Return an inference node with these parameters."""
    from rclpy.parameter import Parameter

    from dynamo_ros.nodes.inference_node import InferenceNode

    return ros.add(InferenceNode([Parameter(name, value=value) for name, value in parameters.items()]))


def change(ros: Ros, robot: Robot, transition: str) -> bool:
    """Ask the node for a transition; return whether it agreed."""
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    number = getattr(Transition, f"TRANSITION_{transition.upper()}")
    request = ChangeState.Request(transition=Transition(id=number))
    return bool(ros.call(robot.node, ChangeState, f"{NODE}/change_state", request).success)


def activate(ros: Ros, robot: Robot) -> None:
    """Activate the node. A busy computer's streams may be stale at the first try."""
    ros.until(lambda: change(ros, robot, "activate"), what="activation")


def trigger(ros: Ros, robot: Robot, service: str) -> str | None:
    """Return None where the node's service agrees, else what it says."""
    from std_srvs.srv import Trigger

    response = ros.call(robot.node, Trigger, f"{NODE}/{service}", Trigger.Request())
    return None if response.success else str(response.message)


def rearm(ros: Ros, robot: Robot) -> None:
    """Clear a stop and begin again."""
    ros.until(lambda: trigger(ros, robot, "rearm") is None, what="re-arming")


def at_rest(ros: Ros, robot: Robot) -> None:
    """Wait until the arm has got no command for a while: a stop may need some to come to rest."""

    def silent() -> bool:
        count = len(robot.trajectories)
        ros.spin(0.3)
        return len(robot.trajectories) == count

    ros.until(silent, what="the end of commands")
