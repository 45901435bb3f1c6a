"""``tocsin demo``."""

from __future__ import annotations

from pathlib import Path

import click

PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--port", type=PORT, metavar="N", help="Port of Tocsin; 0 is any free one.  [default: 8080]")
@click.option("--inbox-port", type=PORT, metavar="N", help="Port of the inbox with the mail.  [default: near 8025]")
@click.option("--mail-port", type=PORT, metavar="N", help="Port of the mail catcher, SMTP.  [default: near 1025]")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep Tocsin's data here instead of in a temporary folder that goes at the end.",
)
@click.option("--fast", is_flag=True, help="Tell the story at twice the speed.")
@click.option("--until-done", is_flag=True, help="End after the last fault: 0 when all went as it should, else 1.")
def demo(
    port: int | None, inbox_port: int | None, mail_port: int | None, data: Path | None, fast: bool, until_done: bool
) -> int:
    """Watch Tocsin handle real faults in a small real system.

    It starts a small shop of real processes, Tocsin beside it, and a mailbox; then one thing after another breaks.
    The terminal tells the story, the browser shows it live, and you acknowledge from the mail or the page.
    Ctrl-C ends it and leaves nothing behind.

    \b
    Examples:
      tocsin demo
      tocsin demo --port 9000 --fast
    """
    from tocsin.demo import ports, run

    return run.run(
        data,
        ports.PORT if port is None else port,
        mail_port=mail_port,
        inbox_port=inbox_port,
        fast=fast,
        until_done=until_done,
    )
