#!/usr/bin/env bash
# Run a command with ROS 2, the workspace and the middleware's profile active.
set -e
source /opt/ros/jazzy/setup.bash
source /opt/dynamo/env.sh
exec "$@"
