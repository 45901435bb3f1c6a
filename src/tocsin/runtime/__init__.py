"""The live loops around the engine: writer, clock, listener, timers, delivery, probing, and the line to the faces."""
