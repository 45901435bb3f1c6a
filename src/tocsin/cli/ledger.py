"""``tocsin incidents ledger``: the pages of an incident, whole, for a person, a program or a file."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api
from tocsin.cli.paged import became
from tocsin.cli.place import server_options
from tocsin.cli.text import clock, stamp
from tocsin.cli.words import number


@click.command()
@click.argument("incident", metavar="NUMBER", type=number)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a head, for a spreadsheet.")
@server_options
@show.json_option
def ledger(api: Api, incident: int, as_csv: bool, as_json: bool) -> None:
    """Print the page ledger of an incident, the oldest page first.

    Why, to whom, by which method, when it was written down, tried and answered, the provider's id, and what followed.

    \b
    Examples:
      tocsin incidents ledger 17
      tocsin incidents ledger 17 --csv > incident-17.csv
    """
    if as_csv and as_json:
        raise click.UsageError("Choose --csv or --json.")
    rows = api.get(f"/incidents/{incident}/ledger")["items"]
    if as_json:
        show.print_json(rows)
        return
    if as_csv:
        from tocsin.pages.exported import LedgerRow
        from tocsin.pages.exported import as_csv as written

        known = LedgerRow.__struct_fields__
        click.echo(written(LedgerRow(**{name: row[name] for name in known}) for row in rows).decode(), nl=False)
        return
    show.print_table(
        (
            show.Column("Page", right=True),
            show.Column("Intended"),
            show.Column("To"),
            show.Column("By"),
            show.Column("State"),
            show.Column("Answered", least=80),
            show.Column("Because", least=100, wide=True),
            show.Column("Followed", least=130, wide=True),
        ),
        [
            (
                str(row["page"]),
                stamp(show.moment(row["intended_at"])),
                str(row["person"]),
                f"{row['channel']} {row['method']}".rstrip(),
                show.state(became(_as_page(row))),
                clock(answered) if (answered := show.moment(row["answered_by_person_at"] or None)) else "",
                str(row["because"]),
                str(row["followed"]),
            )
            for row in rows
        ],
    )
    if not rows:
        click.echo("Nobody has been paged.", err=True)


def _as_page(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the export by the names that pages have elsewhere. There an absent time is none, here it is empty."""
    return {
        **row,
        "finished_at": row["answered_by_channel_at"] or None,
        "answered_at": row["answered_by_person_at"] or None,
        "next_at": row.get("next_at") or None,
        "held": row["not_before"],
        "unsure": row["possible_duplicate"],
    }
