"""Commands of `dynamo` that need a simulated station."""
