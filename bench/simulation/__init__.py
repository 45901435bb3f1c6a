"""Years of nights in virtual time: the real engine, and beside it rules written down a second time to judge it by."""
