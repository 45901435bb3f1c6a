"""The pages people read and press: server-rendered, live where a browser can, whole without a script.

Decides nothing: what is read comes from ``store.reads``, what is asked for leaves as a Command through the core's
line, and who is asking is known by ``faces``. Answers for scripts live in ``api``. ``routes`` names every page.
"""
