"""Who may do what: keys of monitors, users and their roles, tokens of scripts, one-time sign-in links.

Only hashes are kept.
"""
