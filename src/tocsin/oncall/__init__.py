"""Who is on call: schedules, their layers and turns, overrides, and what they leave uncovered.

The only room that knows wall clocks and zones. Pages nobody; an escalation asks it who answers at an instant.
"""
