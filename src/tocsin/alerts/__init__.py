"""Alerts: one deduplicated condition each, how repetitions merge, when it expires; heartbeats' deadlines."""
