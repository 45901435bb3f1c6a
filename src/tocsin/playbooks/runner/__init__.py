"""The processes playbooks run in: one that reads what they declare, one zygote per plan version, one child per run.

A plug folder: this is the part that touches the world. ``pool`` is what the core holds; the rest runs elsewhere.
"""
