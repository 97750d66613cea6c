"""How a launch brings up a hand's driver, where it can."""

from __future__ import annotations

from launch import Action
from launch.actions import LogInfo

from dynamo_policies.contract import Contract
from dynamo_policies.hand_sink import HandSink
from dynamo_ros.packages import include

BRINGUP = "allegro_hand_bringup"
# Of allegro_hand_ros2's launch file; `mock_components` instead of `physical_device` needs no hand.
SETTINGS = {"hand": "right", "device": "v4", "ros2_control_hardware_type": "physical_device"}


def hand_packages(contract: Contract) -> tuple[str, ...]:
    """Return the vendor's packages that the contract's hand needs."""
    return (BRINGUP,) if contract.hand is not None and contract.hand.kind == "allegro_v4" else ()


def hand_driver_launch(hand: HandSink) -> Action:
    """Return the launch file of a V4's vendor; for others, which differ, a word that it is to be started."""
    if hand.kind != "allegro_v4":
        return LogInfo(msg=f"start the hand's driver yourself: nothing here launches {hand.kind}")
    return include(BRINGUP, "allegro_hand.launch.py", SETTINGS)
