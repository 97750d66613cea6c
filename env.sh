# The one file to source: `source env.sh` (bash or zsh). Sourcing it twice changes nothing more.

if [ -n "${BASH_SOURCE:-}" ]; then
    DYNAMO_ROOT="${BASH_SOURCE}"
elif [ -n "${ZSH_VERSION:-}" ]; then
    eval 'DYNAMO_ROOT="${(%):-%x}"'
else
    DYNAMO_ROOT="env.sh"
fi
DYNAMO_ROOT="$(cd "$(dirname "${DYNAMO_ROOT}")" && pwd -P)"
export DYNAMO_ROOT

if [ ! -x "${DYNAMO_ROOT}/.venv/bin/python" ]; then
    echo "env.sh: ${DYNAMO_ROOT}/.venv is not there or not complete; run 'make setup' first" >&2
    return 1
fi

# Put $2 first in the colon-separated variable named $1, once.
_dynamo_prepend() {
    eval "_dynamo_value=\"\${$1:-}\""
    case ":${_dynamo_value}:" in
        *":$2:"*) ;;
        *) export "$1=$2${_dynamo_value:+:${_dynamo_value}}" ;;
    esac
    unset _dynamo_value
}

export VIRTUAL_ENV="${DYNAMO_ROOT}/.venv"
_dynamo_prepend PATH "${VIRTUAL_ENV}/bin"
unset PYTHONHOME
hash -r 2>/dev/null || true

# ROS 2 from PyPI: its wheels put share/, lib/ and include/ straight into the environment.
if [ -d "${VIRTUAL_ENV}/share/rclpy" ]; then
    export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
    _dynamo_prepend AMENT_PREFIX_PATH "${VIRTUAL_ENV}"
    _dynamo_prepend CMAKE_PREFIX_PATH "${VIRTUAL_ENV}"
    for _dynamo_folder in $(find "${VIRTUAL_ENV}/lib" -maxdepth 3 -type d -name 'ros_*.libs') "${VIRTUAL_ENV}/lib"; do
        _dynamo_prepend LD_LIBRARY_PATH "${_dynamo_folder}"
    done
    unset _dynamo_folder
    # The wheels re-execute every interpreter to set LD_LIBRARY_PATH unless told that it is done.
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
fi

# The workspace overlay: libraries, entry points and message packages of ros2_ws.
if [ -f "${DYNAMO_ROOT}/ros2_ws/install/local_setup.sh" ]; then
    if [ -n "${ZSH_VERSION:-}" ]; then
        . "${DYNAMO_ROOT}/ros2_ws/install/local_setup.zsh"
    else
        . "${DYNAMO_ROOT}/ros2_ws/install/local_setup.bash"
    fi
fi

export FASTRTPS_DEFAULT_PROFILES_FILE="${DYNAMO_ROOT}/config/fastdds.xml"
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE}"
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
export MUJOCO_GL="${MUJOCO_GL:-egl}"
