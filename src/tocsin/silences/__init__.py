"""Silences: matchers that keep alerts quiet until a time that is always written down.

Deciding who is paged is elsewhere.
"""
