"""The live loops around the engine: writer, clock, listener, timers, delivery, probing, and the line to the faces.

Decides nothing about alerts and people: that is the engine's, and what it decided is carried out here.
"""
