"""Playbooks: what they declare, whether they may run now, what one is trusted to do, and how a run goes on.

Decides and touches nothing. ``language`` is what people write playbooks with; ``runner`` is a plug folder: the
processes their code runs in.
"""
