"""Incidents: which service and group an alert belongs to; opening, joining, acknowledging, resolving, reopening."""
