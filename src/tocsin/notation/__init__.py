"""How files are written that people check in: documents with positions, records of keys and words, findings.

Knows no section of a plan: those are declared where what they say is used. ``plan`` declares most of them, the files
of channels their own.
"""
