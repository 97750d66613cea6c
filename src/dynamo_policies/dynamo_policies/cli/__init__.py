"""The command `dynamo` and its sub-commands."""
