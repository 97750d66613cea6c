"""Learning from bags: contract, data, objectives, policies and bundles. Nothing here imports ROS."""
