"""What Tocsin keeps when it is killed, starved or shouted at: nothing acknowledged is lost, no page is missing.

Owns the violence and the counting. Everything is done to a real `tocsin up`, and what counts is read from its API and
from what arrived at the other end.
"""
