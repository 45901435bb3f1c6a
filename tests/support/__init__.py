"""Real components for tests: each starts on demand, on a free loopback port, and is stopped by its own pid.

Owns the starting and stopping. What a component is told and what is expected of it belongs to the tests.
"""
