import shutil

import pytest

from dynamo_setup.errors import SetupError
from dynamo_setup.machine import Machine, check_disk, missing_packages, this_machine


@pytest.mark.parametrize("libc", ["2.28", "2.36", "3.0"])
def test_linux_on_x86_with_a_recent_glibc_takes_ros_from_pypi(libc: str) -> None:
    Machine("Linux", "x86_64", "glibc", libc).check_ros_wheels()


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (Machine("Darwin", "arm64", "", ""), "this is Darwin on arm64"),
        (Machine("Linux", "aarch64", "glibc", "2.36"), "this is Linux on aarch64"),
        (Machine("Linux", "x86_64", "glibc", "2.9"), r"needs glibc 2\.28 or newer, this is glibc 2\.9"),
        (Machine("Linux", "x86_64", "", ""), "this is not glibc"),
    ],
)
def test_other_machines_are_told_of_apt_and_of_the_container(machine: Machine, said: str) -> None:
    with pytest.raises(SetupError, match=rf"{said}[^\n]*\n.*Jazzy.*docker"):
        machine.check_ros_wheels()


def test_this_machine_knows_itself() -> None:
    assert this_machine().system


def test_a_full_disk_is_seen_before_anything_is_written() -> None:
    check_disk(5_000_000_000, needed_gb=4.0)
    with pytest.raises(SetupError, match=r"3\.0 GB of disk are free and a fresh environment needs 4 GB"):
        check_disk(3_000_000_000, needed_gb=4.0)


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="needs a Debian")
def test_only_packages_that_are_not_installed_are_missing() -> None:
    assert missing_packages(["dpkg", "no-such-package-at-all"]) == ["no-such-package-at-all"]
