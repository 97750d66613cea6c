"""Learning from bags: contract, data, objectives, policies and bundles. Nothing here imports ROS."""

__version__ = "0.1.0"
