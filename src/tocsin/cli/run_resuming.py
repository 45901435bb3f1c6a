"""What people do with a run that is over: continue it, repeat it, take it over, say what they did."""

from __future__ import annotations

import click

from tocsin.cli import show
from tocsin.cli.client import Api
from tocsin.cli.place import server_options
from tocsin.cli.run_sheet import print_run

_why = click.option("--why", metavar="TEXT", required=True, help="Why; it stands on the timeline.")


@click.command("continue")
@click.argument("number", type=int)
@click.option("--step", metavar="N", type=click.IntRange(1), required=True, help="The first step done anew.")
@_why
@click.option("--again", "word", flag_value="again", help="Make changes again that may have been made already.")
@click.option("--done", "word", flag_value="done", help="The change before that step was made: you have seen it.")
@server_options
@show.json_option
def continue_run(api: Api, number: int, step: int, why: str, word: str | None, as_json: bool) -> None:
    """Continue a run that was handed over or stopped, from a step on.

    As a new run: the steps before it stand. Also carries out what a run suggests. A change that may have happened
    is made again only when its probe says that it was not, or you say so.

    \b
    Examples:
      tocsin playbook continue 17 --step 3 --why "the disk is mounted again"
      tocsin playbook continue 17 --step 2 --again --why "it was never restarted, I looked"
    """
    body = {"step": step, "why": why, "word": word or ""}
    made = api.write("POST", f"/runs/{number}/continue", body, {"word": "--again or --done", "step": "--step"})
    print_run(api.get(f"/runs/{made['number']}"), as_json)


@click.command("repeat")
@click.argument("number", type=int)
@_why
@click.option("--again", is_flag=True, help="Make changes again that may have been made already.")
@server_options
@show.json_option
def repeat_run(api: Api, number: int, why: str, again: bool, as_json: bool) -> None:
    """Repeat a run from its top, on the same targets.

    \b
    Examples:
      tocsin playbook repeat 17 --why "the network is back"
    """
    body = {"why": why, "word": "again" if again else ""}
    made = api.write("POST", f"/runs/{number}/repeat", body, {"word": "--again"})
    print_run(api.get(f"/runs/{made['number']}"), as_json)


@click.command("take-over")
@click.argument("number", type=int)
@_why
@server_options
@show.json_option
def take_over(api: Api, number: int, why: str, as_json: bool) -> None:
    """Work on a run's targets by hand.

    The run stops, you have its incident, and code changes nothing on them until that is over, you give them back,
    or four hours have passed.

    \b
    Examples:
      tocsin playbook take-over 17 --why "it needs the old backup"
    """
    print_run(api.write("POST", f"/runs/{number}/take-over", {"why": why}), as_json)


@click.command("give-back")
@click.argument("number", type=int)
@server_options
@show.json_option
def give_back(api: Api, number: int, as_json: bool) -> None:
    """Let code work again on what was taken over or left half-changed.

    Of what the run left in the midst of a change it says that you have looked: code asks no more than it is trusted to.

    \b
    Examples:
      tocsin playbook give-back 17
    """
    print_run(api.write("POST", f"/runs/{number}/give-back"), as_json)


@click.command("compare")
@click.argument("number", type=int)
@click.argument("verdict", metavar="SAME|OTHER|UNDO", type=click.Choice(["same", "other", "undo"]))
@click.option("--did", metavar="TEXT", default="", help="What was done, in your words.")
@server_options
@show.json_option
def compare(api: Api, number: int, verdict: str, did: str, as_json: bool) -> None:
    """Say whether a run that only watched would have done what you did.

    It counts for its playbook's trust. What was said last counts; `undo` takes it back.

    \b
    Examples:
      tocsin playbook compare 17 same
      tocsin playbook compare 17 other --did "moved the traffic away"
      tocsin playbook compare 17 undo
    """
    same = {"same": True, "other": False, "undo": None}[verdict]
    print_run(api.write("POST", f"/runs/{number}/compare", {"same": same, "did": did}), as_json)


RESUMING = (continue_run, repeat_run, take_over, give_back, compare)
"""The commands, for ``tocsin playbook``."""
