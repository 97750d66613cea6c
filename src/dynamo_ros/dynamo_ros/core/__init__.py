"""Decisions of the stack on a robot. Nothing here imports ROS or torch."""
