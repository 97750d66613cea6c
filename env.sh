# The one file to source: `source env.sh` (bash or zsh). Sourcing it twice changes nothing more.

if [ -n "${BASH_SOURCE:-}" ]; then
    DYNAMO_ROOT="${BASH_SOURCE}"
elif [ -n "${ZSH_VERSION:-}" ]; then
    eval 'DYNAMO_ROOT="${(%):-%x}"'
else
    DYNAMO_ROOT="./env.sh"
fi
DYNAMO_ROOT="$(cd "$(dirname "${DYNAMO_ROOT}")" && pwd -P)"
export DYNAMO_ROOT

if [ ! -x "${DYNAMO_ROOT}/.venv/bin/python" ]; then
    echo "env.sh: ${DYNAMO_ROOT}/.venv is not there or not complete; run 'make setup' first" >&2
    return 1
fi

# The setup files of ROS and colcon read variables that may be unset.
case "$-" in *u*) _dynamo_nounset=1 ;; *) _dynamo_nounset= ;; esac
set +u

# Put $2 first in the colon-separated variable named $1, once.
_dynamo_prepend() {
    eval "_dynamo_value=\"\${$1:-}\""
    case ":${_dynamo_value}:" in
        *":$2:"*) ;;
        *) export "$1=$2${_dynamo_value:+:${_dynamo_value}}" ;;
    esac
    unset _dynamo_value
}

_dynamo_source() {
    if [ -n "${ZSH_VERSION:-}" ]; then . "$1.zsh"; else . "$1.bash"; fi
}

export VIRTUAL_ENV="${DYNAMO_ROOT}/.venv"
unset PYTHONHOME

if [ -d "${VIRTUAL_ENV}/share/rclpy" ]; then
    # ROS 2 from PyPI: its wheels put share/, lib/ and include/ straight into the environment.
    export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
    _dynamo_prepend AMENT_PREFIX_PATH "${VIRTUAL_ENV}"
    _dynamo_prepend CMAKE_PREFIX_PATH "${VIRTUAL_ENV}"
    for _dynamo_folder in $(find "${VIRTUAL_ENV}/lib" -maxdepth 3 -type d -name 'ros_*.libs') "${VIRTUAL_ENV}/lib"; do
        _dynamo_prepend LD_LIBRARY_PATH "${_dynamo_folder}"
    done
    unset _dynamo_folder
    # The wheels start every interpreter twice to set LD_LIBRARY_PATH, unless told that it is set.
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
elif [ -z "${ROS_DISTRO:-}" ] && [ -f "${VIRTUAL_ENV}/ros_prefix" ]; then
    # The ROS 2 that was sourced when the environment was made.
    _dynamo_source "$(cat "${VIRTUAL_ENV}/ros_prefix")/setup"
fi

# The workspace overlay: libraries, entry points and message packages of ros2_ws.
if [ -f "${DYNAMO_ROOT}/ros2_ws/install/local_setup.bash" ]; then
    _dynamo_source "${DYNAMO_ROOT}/ros2_ws/install/local_setup"
fi
_dynamo_prepend PATH "${VIRTUAL_ENV}/bin"
hash -r 2>/dev/null || true

# Images need larger buffers than the middleware's defaults; the file says why.
export FASTRTPS_DEFAULT_PROFILES_FILE="${DYNAMO_ROOT}/config/fastdds.xml"
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE}"
# This machine only, unless told otherwise: a robot's network needs ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
# Render without a screen.
# Threads that wait must sleep: spinning ones slow a busy computer down tenfold (a perceptron's fit on two cores
# beside other nodes took 150 ms a step instead of 7).
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
export MUJOCO_GL="${MUJOCO_GL:-egl}"

unset -f _dynamo_prepend _dynamo_source
[ -n "${_dynamo_nounset}" ] && set -u
unset _dynamo_nounset
true
