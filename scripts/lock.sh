#!/usr/bin/env bash
# Write the pinned lists from requirements/*.in, each for Python 3.10 to 3.12. Needs uv (make setup brings it).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"
export UV_PYTHON_DOWNLOADS=never

lock() {
    local target="$1"
    shift
    uv pip compile --quiet --universal --python-version 3.10 --no-annotate --output-file "$target" \
        --override torch.override --no-emit-package torch \
        --custom-compile-command scripts/lock.sh "$@"
}

lock stack.txt base.in build.in dev.in
lock ros.txt ros.in --constraint stack.txt
# apt's ROS 2 is compiled against numpy 1: a numpy 2 in the environment breaks its messages.
lock stack-apt.txt base.in build.in dev.in numpy1.in
