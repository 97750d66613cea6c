"""`ros2 launch`, for a ROS 2 that comes without its own (setup.py registers it only there)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription, LaunchService
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import (
    AnyLaunchDescriptionSource,
    get_launch_description_from_any_launch_file,
)
from ros2cli.command import CommandExtension

from dynamo_policies.errors import DynamoError

PATTERNS = ("*.launch.py", "*.launch.xml", "*.launch.yaml", "*.launch.yml")


class LaunchFileError(DynamoError):
    """No launch file, or an argument that a launch file can't take."""


class LaunchCommand(CommandExtension):
    """Run a launch file."""

    def add_arguments(self, parser: ArgumentParser, cli_name: str) -> None:  # noqa: ARG002  # ros2cli's signature
        """Add the arguments that the official command has."""
        parser.add_argument("package_or_file", help="a package, or the path of a launch file")
        parser.add_argument("launch_file", nargs="?", help="the name of a launch file of the package")
        parser.add_argument("arguments", nargs="*", help="arguments of the launch file, NAME:=VALUE")
        parser.add_argument(
            "-s", "--show-args", "--show-arguments", action="store_true", help="list its arguments"
        )
        parser.add_argument("-d", "--debug", action="store_true", help="print what the launch system does")

    def main(self, *, parser: ArgumentParser, args: Namespace) -> int | str:  # noqa: ARG002  # as above
        """Run the launch file until it ends or Ctrl-C; return the exit status or what is wrong."""
        try:
            path, words = launch_file(args.package_or_file, [args.launch_file, *args.arguments])
            if args.show_args:
                print(described_arguments(path))  # noqa: T201  # the command's output
                return 0
            return run(path, launch_arguments(words), debug=args.debug)
        except LaunchFileError as error:
            return f"ros2 launch: {error}"


def run(path: Path, arguments: list[tuple[str, str]], *, debug: bool = False) -> int:
    """Run the launch file at `path` until it ends or Ctrl-C; return the exit status."""
    service = LaunchService(argv=[f"{name}:={value}" for name, value in arguments], debug=debug)
    source = AnyLaunchDescriptionSource(str(path))
    included = IncludeLaunchDescription(source, launch_arguments=arguments)
    service.include_launch_description(LaunchDescription([included]))
    return int(service.run())


def launch_file(package_or_file: str, words: list[str | None]) -> tuple[Path, list[str]]:
    """Return the path of the launch file that the command line names, and the words left over.

    Raises:
        LaunchFileError: There is no such file or no such package.
    """
    given = [word for word in words if word is not None]
    path = Path(package_or_file)
    if path.is_file():
        return path, given
    if path.suffix in {".py", ".xml", ".yaml", ".yml"}:
        raise LaunchFileError(f"there is no file {path} in {Path.cwd()}")
    try:
        share = Path(get_package_share_directory(package_or_file))
    except (PackageNotFoundError, ValueError) as error:
        raise LaunchFileError(
            f"{package_or_file!r} is neither a file nor a package that is installed"
        ) from error
    files = {file.name: file for pattern in PATTERNS for file in sorted(share.rglob(pattern))}
    if not given or given[0] not in files:
        asked = repr(given[0]) if given else "no launch file"
        raise LaunchFileError(f"{asked} was given; package {package_or_file!r} has {sorted(files)}")
    return files[given[0]], given[1:]


def launch_arguments(words: list[str]) -> list[tuple[str, str]]:
    """Return the name and value of each NAME:=VALUE.

    Raises:
        LaunchFileError: A word is something else.
    """
    pairs = []
    for word in words:
        name, sign, value = word.partition(":=")
        if not (name and sign):
            raise LaunchFileError(f"{word!r} is not an argument of the form NAME:=VALUE")
        pairs.append((name, value))
    return pairs


def described_arguments(path: Path) -> str:
    """Return one paragraph for each argument that the launch file at `path` declares."""
    declared = get_launch_description_from_any_launch_file(str(path)).get_launch_arguments()
    paragraphs = [_described(argument) for argument in declared]
    return "\n".join(["Arguments (pass them as NAME:=VALUE):", *(paragraphs or ["  none"])])


def _described(argument: DeclareLaunchArgument) -> str:
    default = "".join(part.describe().strip("'") for part in argument.default_value or ())
    choices = f" (one of {', '.join(argument.choices)})" if argument.choices else ""
    value = f"default: {default!r}" if argument.default_value is not None else "required"
    return f"  {argument.name}: {argument.description}{choices}\n      {value}"
