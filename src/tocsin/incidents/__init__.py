"""Incidents: which service and group an alert belongs to; opening, joining, acknowledging, resolving, reopening.

Who is paged about one, and when, is decided above.
"""
