"""Pages: the ledger that proves each attempt to reach a person, and the messages that are sent. Channels are plugs."""
