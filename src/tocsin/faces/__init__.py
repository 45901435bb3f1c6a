"""What every face for people and scripts shares: the line to the core, who is asking, sessions, CSRF, live updates."""
