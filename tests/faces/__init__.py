"""What all faces share, over a database filled by hand and a core that decides nothing."""
