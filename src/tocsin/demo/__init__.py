"""The demo: a small real shop, real faults on a timetable, a local mail catcher, and a story told line by line.

Owns what stands around Tocsin while it is shown: the shop's processes, what breaks them and when, the inbox that
catches the pages, the words on the terminal, and the certainty that nothing is left behind. It decides nothing about
incidents: Tocsin itself is started by its ordinary command with an ordinary plan, and is asked over its ordinary API.
"""
