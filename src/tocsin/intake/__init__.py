"""What arrived and how it is read: requests, the events in them, keys' limits, probes' and heartbeats' specs.

Turns bytes into Events. What an Event means for alerts is decided above.
"""
