"""The vendor's messages as tests have them: names, fields and defaults of xarm_ros2."""

import subprocess
import sys

import pytest

pytest.importorskip("xarm_msgs")

from xarm_msgs.msg import RobotMsg
from xarm_msgs.srv import Call, MoveCartesian, MoveJoint, MoveVelocity, SetInt16, SetInt16ById

from ros_fixtures import Ros


def test_a_request_says_by_default_what_the_vendors_does() -> None:
    joint, cartesian, velocity = MoveJoint.Request(), MoveCartesian.Request(), MoveVelocity.Request()
    assert (joint.wait, joint.timeout, joint.radius, joint.relative) == (False, -1.0, -1.0, False)
    assert (cartesian.wait, cartesian.is_tool_coord, cartesian.motion_type) == (False, False, 0)
    assert (velocity.is_sync, velocity.is_tool_coord, velocity.duration) == (True, False, -1.0)
    assert SetInt16ById.Request(id=8, data=1).id == 8
    assert Call.Response().ret == 0


def test_the_arms_report_goes_over_dds(ros: Ros) -> None:
    received: list[RobotMsg] = []
    node = ros.node()
    node.create_subscription(RobotMsg, "/xarm/robot_states", received.append, 10)
    publisher = node.create_publisher(RobotMsg, "/xarm/robot_states", 10)
    node.create_timer(0.05, lambda: publisher.publish(RobotMsg(state=2, mode=1, err=31)))
    ros.until(lambda: received, what="a report")
    assert (received[0].state, received[0].mode, received[0].err) == (2, 1, 31)
    assert len(received[0].pose) == 6


def test_a_service_answers_over_dds(ros: Ros) -> None:
    node = ros.node()

    def answer(request: SetInt16.Request, response: SetInt16.Response) -> SetInt16.Response:
        response.ret, response.message = 0, f"mode {request.data}"
        return response

    node.create_service(SetInt16, "/xarm/set_mode", answer)
    answered = ros.call(ros.node("caller"), SetInt16, "/xarm/set_mode", SetInt16.Request(data=7))
    assert answered.message == "mode 7"


def test_a_process_that_a_test_starts_has_them_too() -> None:
    code = "from xarm_msgs.msg import RobotMsg; import rclpy; rclpy.init(); n = rclpy.create_node('n'); "
    code += "n.create_publisher(RobotMsg, 'a', 1); n.destroy_node(); rclpy.shutdown()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr
