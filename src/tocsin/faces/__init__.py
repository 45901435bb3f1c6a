"""What every face for people and scripts shares: the line to the core, who is asking, sessions, CSRF, live updates.

Draws no page and answers no script: those are ``web`` and ``api``.
"""
