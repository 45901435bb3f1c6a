"""The time that ``tocsin oncall`` lists shifts of: from when, up to when."""

from __future__ import annotations

import click

from tocsin.cli import oncall_files as files
from tocsin.cli.client import Api
from tocsin.cli.words import time
from tocsin.kernel.instant import DAY, Duration, Instant

WEEK: Duration = 7 * DAY
WEEKS = 12
"""So many weeks ahead shifts are listed where nobody says up to when."""
from_option = click.option("--from", "start", type=time, metavar="TIME", help="From when.  [default: now]")
to_option = click.option(
    "--to", "end", type=time, metavar="TIME", help="Up to when; two years later at most.  [default: 12 weeks later]"
)


def range_of(
    start: Instant | None, end: Instant | None, api: Api | None, weeks: int | None = None
) -> tuple[Instant, Instant]:
    """What to list: from now, by the server's time where one is asked, and for twelve weeks, unless said otherwise."""
    if start is None:
        start = files.now() if api is None else api.time()
    end = start + (weeks or WEEKS) * WEEK if end is None else end
    if start >= end:
        raise click.UsageError("--to must be later than --from.")
    return start, end
