"""The HTTP API: its own routes, its document, and what Alertmanager's tools see of it."""
