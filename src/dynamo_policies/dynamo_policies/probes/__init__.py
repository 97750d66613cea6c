"""The report card of encoders: what frozen features are worth before a robot moves."""
