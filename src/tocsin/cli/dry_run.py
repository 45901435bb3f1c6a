"""What ``tocsin playbook dry-run`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tocsin.cli import show
from tocsin.cli.failure import OK, REFUSED

if TYPE_CHECKING:
    from tocsin.playbooks.run import Report


def say(report: Report) -> None:
    """Print what the run reports, as it comes."""
    from tocsin.playbooks.run import Began, Finished, GaveUp, Returned, Unmatched

    match report:
        case Finished():
            short = ".".join(report.function.rsplit(".", 2)[-2:])
            show.line(f"{report.verb:7} {short}({report.shown})")
            show.line(f"        {report.said if report.ok else report.error}", "mute" if report.ok else "ring")
        case Began(verb="fix"):
            short = ".".join(report.function.rsplit(".", 2)[-2:])
            show.line(f"fix     {short}({report.shown})", "held")
            if report.says:
                show.line(f"        {report.says}", "held")
            show.line("        this is what it would do; nothing was changed", "held")
        case Began(verb="ask"):
            show.line(f"ask     {report.function} ({', '.join(report.choices)})", "held")
        case GaveUp():
            show.line(f"hands over: {report.why}", "ring")
        case Returned():
            show.line("It ended without changing anything.", "rest")
        case Unmatched(error=why) if why:
            show.line(f"Its rule came to no answer, which counts as no match: {why}", "ring")
        case Unmatched():
            show.line("It says itself that it is not meant for this.", "mute")


def result(told: list[Report], status: int, output: str, as_json: bool) -> int:
    """Print what it came to, and say the exit code."""
    import msgspec

    from tocsin.playbooks.run import Began, GaveUp, Looking, Returned, Unmatched

    last = told[-1] if told else None
    good = isinstance(last, Began | Returned | Unmatched) or (isinstance(last, GaveUp) and last.kind == "handed_over")
    if as_json:
        would = last.function + f"({last.shown})" if isinstance(last, Began) and last.verb == "fix" else None
        said = [one for one in told if not isinstance(one, Looking) or (one is last and one.ordinal)]
        steps = [msgspec.to_builtins(one) for one in said]
        show.print_json({"ok": good, "would": would, "steps": steps, "output": output})
    elif not good and not isinstance(last, GaveUp):
        looks = last if isinstance(last, Looking) and last.ordinal else None
        at = f" in {looks.function.rpartition('.')[2]}({looks.shown})" if looks is not None else ""
        show.line(f"Its process ended with {status}{at}.", "ring")
    if output and not as_json:
        show.line("It printed:", "mute")
        click.echo(show.plain(output, lines=True).rstrip("\n"))
    return OK if good else REFUSED
