"""The command line: asks the API, prints for people or for scripts. Has no rules of its own.

One file per command group, imported when that command is used; ``tocsin --help`` imports none of them.
"""

from __future__ import annotations


def main() -> int:
    """Run ``tocsin`` with the process's arguments and return its exit code (see ``failure``)."""
    from tocsin.cli.root import run

    return run()
