"""Stories through the whole of `tocsin up`, told with real and unmodified senders, mail and browsers.

Owns what a person could try at home: paste, run, look. What a room decides by itself is tested beside that room.
"""
