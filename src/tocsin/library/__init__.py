"""Solutions for common technology: for each a file with its target, its looks, its fixes.

Loaded by playbooks, in their own processes; a client is imported when it is used. Nothing else in Tocsin knows these.
"""
