"""Measurements of the real `tocsin up`, side by side with Debian's Alertmanager; `python -m bench --help`.

Nothing here reaches into Tocsin: it is started as a child process and spoken to over HTTP. The figures that count are
in docs/benchmarks.md, with the command that made them.
"""
