"""Alerts: one deduplicated condition each, how repetitions merge, when it expires; heartbeats' deadlines.

Which incident takes an alert is decided above.
"""
