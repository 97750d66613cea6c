#!/usr/bin/env bash
# Make or repair the environment (.venv, ros2_ws). Any Python from 3.10 on runs the set-up itself;
# it then chooses the Python of the environment.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"

for python in ${PYTHON:-} python3 python3.12 python3.11 python3.10; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
        PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m dynamo_setup "$@"
    fi
done
found="$(python3 --version 2>/dev/null || echo 'no python3 that runs')"
echo "setup: no supported Python on PATH: $found" >&2
echo "  hint: install one of 3.10, 3.11, 3.12, with its -venv and -dev packages, or name it with PYTHON=..." >&2
exit 1
