"""The demo: the shop really talks and dies, the catcher really catches, and nothing is left behind."""
