"""The live loops, with real stores and sockets and a clock by hand."""
