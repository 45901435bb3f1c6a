"""The one decider: ``(state, input, plan, now)`` to changed state and effects. No clock, no randomness, no I/O.

Live operation, tests and replay run this same engine with another clock and other hands.
"""
