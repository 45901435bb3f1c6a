"""The contract every channel passes against real servers, and the words of a page."""
