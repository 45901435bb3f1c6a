"""What every other room speaks in: instants, durations, labels and matchers, named reasons, identities.

Owns no noun of the field and knows no other room. Nothing here reads a clock or touches the outside.
"""
