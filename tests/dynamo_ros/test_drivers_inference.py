"""A policy on a fake xArm that is commanded by its own services, over DDS."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("xarm_msgs")

from sensor_msgs.msg import Image

from bundle_factory import write_bundle
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.gates import FirstAction
from dynamo_ros.core.steps import tool_pose
from dynamo_ros.nodes.inference_node import InferenceNode
from fakes.xarm_node import FakeXarm
from ideal_robot import PATIENCE_S, SLOW
from inference_fixtures import GOAL, activate, change, made, trigger
from ros_fixtures import Ros

ROBOTS = Path(__file__).parents[2] / "config" / "robots"


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the contract, with more patience for a busy computer."""
    contract = load_contract(ROBOTS / "xarm7_servo_j.yaml")
    arm = dataclasses.replace(
        contract.arm,
        rate_hz=50.0,
        stale_stop_s=PATIENCE_S,
        tracking_stop_s=PATIENCE_S,
        failure_stop_s=PATIENCE_S,
    )
    streams = {
        name: stream if stream.max_age_ms is None else dataclasses.replace(stream, max_age_ms=1e3)
        for name, stream in contract.streams.items()
    }
    gates = dataclasses.replace(
        contract.gates,
        plan=dataclasses.replace(contract.gates.plan, stop_after_s=PATIENCE_S),
        clock=dataclasses.replace(contract.gates.clock, jump_ms=1e3 * PATIENCE_S),
        robot_state=dataclasses.replace(contract.gates.robot_state, max_age_ms=1e3 * PATIENCE_S),
        first_action=FirstAction(within_m=1.0, within_rad=3.2),
    )
    path = tmp_path_factory.mktemp("contract") / "servo.yaml"
    quality = dataclasses.replace(contract.quality, rate=SLOW)
    patient = dataclasses.replace(contract, arm=arm, gates=gates, streams=streams, quality=quality)
    path.write_text(patient.to_yaml())
    return path


@pytest.fixture(scope="module")
def servo_bundle(tmp_path_factory: pytest.TempPathFactory, kitchen: Path) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"), load_contract(kitchen), GOAL, gripper=1.0)


class Bench:
    """A fake arm with cameras, and the node."""

    def __init__(self, ros: Ros, kitchen: Path, bundle: Path) -> None:
        self.ros, self.contract, self._shown = ros, load_contract(kitchen), 0
        self.node = ros.node("ufactory_driver")
        self.arm = FakeXarm(self.node, self.contract)
        self._cameras = [
            self.node.create_publisher(Image, camera.topic, 20) for camera in self.contract.cameras.values()
        ]
        self.node.create_timer(0.04, self._show)
        self.inference: InferenceNode = made(
            ros, bundle=str(bundle), contract=str(kitchen), task="put_yogurt"
        )
        assert change(ros, self, "configure")  # type: ignore[arg-type]  # all that is needed is `node`
        ros.until(lambda: self.inference._runner.ready(self.inference._now_ns()), what="all streams fresh")

    def tool_y(self) -> float:
        return float(tool_pose(self.contract, self.arm.controller.joints).position[1])

    def _show(self) -> None:
        self._shown += 1  # no two images are the same, as from a camera
        for publisher in self._cameras:
            data = bytes([self._shown % 256]) * (128 * 384)
            image = Image(height=128, width=128, encoding="rgb8", step=384, data=data)
            image.header.stamp = self.node.get_clock().now().to_msg()
            publisher.publish(image)


@pytest.fixture
def bench(ros: Ros, kitchen: Path, servo_bundle: Path) -> Bench:
    return Bench(ros, kitchen, servo_bundle)


def test_a_policy_drives_the_arm_by_its_services(ros: Ros, bench: Bench, contract: Contract) -> None:
    ros.until(lambda: bench.arm.controller.mode == 1, what="an arm made ready")
    ros.spin(0.3)
    assert bench.arm.named("set_servo_angle_j") == []
    activate(ros, bench)  # type: ignore[arg-type]
    ros.until(lambda: abs(bench.tool_y() - GOAL[1]) < 3e-3, what="the goal")
    assert bench.arm.controller.error == 0
    ros.until(lambda: bench.arm.pulse == 0.0, what="a closed gripper")
    assert change(ros, bench, "deactivate")  # type: ignore[arg-type]

    def silent() -> bool:
        count = len(bench.arm.calls)
        bench.arm.live(ros, steps=20)
        return len(bench.arm.calls) == count

    ros.until(silent, what="the end of calls")


def test_a_collision_stops_disables_and_is_not_cleared(ros: Ros, bench: Bench) -> None:
    activate(ros, bench)  # type: ignore[arg-type]
    ros.until(lambda: bench.tool_y() > 0.02, what="the arm to move")
    bench.arm.controller.fail(31)
    ros.until(lambda: bench.inference._runner.stopped, what="the stop")
    ros.until(lambda: [r.data for r in bench.arm.named("set_state")] == [0, 4], what="the arm to be disabled")
    assert trigger(ros, bench, "rearm") is None  # type: ignore[arg-type]
    ros.until(lambda: bench.inference._runner.stopped, what="the stop again")
    assert "error 31 (collision: abnormal current)" in bench.inference._runner.stopped.text
    assert bench.arm.named("clean_error") == []
