import os
import subprocess
from pathlib import Path

import pytest

from dynamo_policies.bags import find_bags, read_info

pytest.importorskip("launch")

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))


def launch(ros_domain: int, *words: str, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
    """Run `ros2 launch` in the tests' domain."""
    assert os.environ["ROS_DOMAIN_ID"] == str(ros_domain)
    return subprocess.run(
        ["ros2", "launch", *words],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_tells_its_arguments(ros_domain: int, path: Path) -> None:
    shown = launch(ros_domain, str(path), "--show-args")
    assert shown.returncode == 0, shown.stderr
    assert "contract" in shown.stdout or "bundle" in shown.stdout


def test_the_scripted_expert_is_refused_on_a_real_robot(ros_domain: int) -> None:
    ended = launch(ros_domain, str(ROOT / "launch/record.launch.py"), "sim:=false", "robot_ip:=192.0.2.1")
    assert ended.returncode == 1
    assert "teleop:=expert needs sim:=true" in ended.stdout + ended.stderr


def test_a_real_robot_without_its_drivers_is_an_error_that_names_them(
    ros_domain: int, tmp_path: Path
) -> None:
    ended = launch(ros_domain, str(ROOT / "launch/xarm_kitchen.launch.py"), "sim:=false")
    assert ended.returncode == 1
    text = ended.stdout + ended.stderr
    assert "xarm_moveit_config (build" in text
    assert "realsense2_camera (apt install" in text


def test_a_real_hand_without_its_driver_is_an_error_that_names_it(ros_domain: int) -> None:
    ended = launch(ros_domain, str(ROOT / "launch/allegro_manipulation.launch.py"), "sim:=false")
    assert ended.returncode == 1
    assert "allegro_hand_bringup (build" in ended.stdout + ended.stderr


def test_an_unknown_contract_is_an_error_that_names_the_known_ones(ros_domain: int, tmp_path: Path) -> None:
    file = str(ROOT / "launch/record.launch.py")
    ended = launch(ros_domain, file, "contract:=xarm_kitchn", f"out:={tmp_path}")
    assert ended.returncode == 1
    assert "did you mean 'xarm_kitchen'" in ended.stdout + ended.stderr


def test_leading_a_simulated_arm_by_hand_is_an_error(ros_domain: int, tmp_path: Path) -> None:
    ended = launch(
        ros_domain, str(ROOT / "launch/record.launch.py"), "teleop:=kinesthetic", f"out:={tmp_path}"
    )
    assert ended.returncode == 1
    assert "teleop:=kinesthetic leads a real arm by hand; it needs sim:=false" in ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_session_of_the_expert_leaves_complete_bags(ros_domain: int, tmp_path: Path) -> None:
    settings = ("tasks:=put_yogurt", "episodes:=1", "seed:=0", "rtf:=1.5", f"out:={tmp_path / 'bags'}")
    ended = launch(ros_domain, str(ROOT / "launch/record.launch.py"), *settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    infos = [read_info(path) for path in find_bags(tmp_path / "bags")]
    assert [info.outcome for info in infos].count("success") == 1
    assert all(info.dropped == {} for info in infos)
    # `dynamo probe` takes the ground truth from here.
    assert all(info.counts["/station/outcome"] and info.counts["/station/objects"] for info in infos)
