"""How a launch brings up a hand's driver, where it can."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_path
from launch import Action
from launch.actions import IncludeLaunchDescription, LogInfo
from launch.launch_description_sources import PythonLaunchDescriptionSource

from dynamo_policies.contract import Contract
from dynamo_policies.hand_sink import HandSink

BRINGUP = "allegro_hand_bringup"
# Of allegro_hand_ros2's launch file; `mock_components` instead of `physical_device` needs no hand.
SETTINGS = {"hand": "right", "device": "v4", "ros2_control_hardware_type": "physical_device"}


def hand_packages(contract: Contract) -> dict[str, str]:
    """Return the vendor's packages that the contract's hand needs, and where each is from."""
    if contract.hand is None or contract.hand.kind != "allegro_v4":
        return {}
    return {BRINGUP: "allegro_hand_ros2"}


def hand_driver_launch(hand: HandSink) -> Action:
    """Return the launch file of a V4's vendor; for others, which differ, a word that it is to be started."""
    if hand.kind != "allegro_v4":
        return LogInfo(msg=f"start the hand's driver yourself: nothing here launches {hand.kind}")
    path = Path(get_package_share_path(BRINGUP)) / "launch" / "allegro_hand.launch.py"
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)), launch_arguments=list(SETTINGS.items())
    )
