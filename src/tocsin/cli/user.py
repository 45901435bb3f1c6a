"""``tocsin user``: add, list, link, password, token, tokens, revoke, disable.

Passwords come from a prompt or from stdin, never as arguments, which every user of the machine can read.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import Refused
from tocsin.cli.place import server_options
from tocsin.cli.text import ago, rough, stamp
from tocsin.cli.words import duration
from tocsin.kernel.instant import Instant, format_duration

ROLES = ("viewer", "responder", "admin")


@click.group()
def user() -> None:
    """Manage who may sign in.

    A viewer reads; a responder also acknowledges, resolves and silences; an admin also manages keys,
    users and the plan.
    """


@user.command()
@click.argument("name", metavar="NAME")
@click.option("--role", type=click.Choice(ROLES), default="responder", show_default=True, help="What they may do.")
@click.option("--person", metavar="PERSON", help="The person of the plan they are, so that pages and names agree.")
@click.option("--password", "with_password", is_flag=True, help="Ask for a password, or read it from stdin.")
@server_options
@show.json_option
def add(api: Api, name: str, role: str, person: str | None, with_password: bool, as_json: bool) -> None:
    """Let someone sign in.

    Without --password they have none yet: send them a sign-in link with `tocsin user link NAME`.

    \b
    Examples:
      tocsin user add ana --role admin --person ana
      tocsin user add ben --password
    """
    body = {"name": name, "role": role, "person": person, "password": read_password() if with_password else None}
    made = api.write("POST", "/users", {field: value for field, value in body.items() if value})
    if as_json:
        show.print_json(made)
        return
    show.line(f"User {name} may sign in as {role}.")
    if not with_password:
        show.line(f"Send them a link: tocsin user link {name}")


@user.command("list")
@show.limit_option
@server_options
@show.json_option
def list_users(api: Api, limit: int | None, as_json: bool) -> None:
    """List users, the newest first.

    \b
    Examples:
      tocsin user list
      tocsin user list --json
    """
    show.print_list(
        api.every("/users", limit=show.asked(limit, as_json)),
        (
            show.Column("Name"),
            show.Column("Role"),
            show.Column("Person", least=60),
            show.Column("Made", least=60),
            show.Column("State"),
        ),
        lambda one: _row(one, api.now),
        as_json=as_json,
        limit=limit,
        empty="There is no user.",
        what="users",
    )


def _row(one: dict[str, Any], now: Instant | None) -> show.Row:
    return (
        str(one["name"]),
        str(one["role"]),
        str(one.get("person") or ""),
        ago(show.moment(one.get("created_at")), now),
        show.Cell("disabled", "mute") if one.get("disabled_at") else "may sign in",
    )


@user.command()
@click.argument("name", metavar="NAME")
@click.option("--for", "good_for", type=duration, metavar="TIME", help="How long it waits.  [default: 15m]")
@server_options
@show.json_option
def link(api: Api, name: str, good_for: int | None, as_json: bool) -> None:
    """Make a link that signs someone in once.

    Whoever opens it first is signed in as them, so hand it over as you would a key.

    \b
    Examples:
      tocsin user link ana
    """
    body = {} if good_for is None else {"expires_in": format_duration(good_for)}
    made = api.write("POST", f"/users/{segment(name)}/link", body)
    if as_json:
        show.print_json(made)
        return
    click.echo(show.plain(str(made["url"])))
    until = show.moment(made.get("expires_at"))
    if until is not None:
        good = f"for {rough(until - api.now)}" if api.now is not None and until > api.now else f"until {stamp(until)}"
        click.echo(f"It works once, {good}.", err=True)


@user.command()
@click.argument("name", metavar="NAME")
@server_options
@show.json_option
def password(api: Api, name: str, as_json: bool) -> None:
    """Set someone's password, and end their sessions.

    It is asked for, or read as one line from stdin when that is not a terminal; never given as an argument,
    where others could see it.

    \b
    Examples:
      tocsin user password ana
      pass show tocsin/ana | tocsin user password ana
    """
    changed = api.write("PATCH", f"/users/{segment(name)}", {"password": read_password(), "sign_out": True})
    if as_json:
        show.print_json(changed)
    else:
        show.line(f"The password of {name} is set; their sessions have ended.")


@user.command()
@click.argument("name", metavar="NAME")
@click.option("--name", "label", metavar="LABEL", default="", help="What the token is for.")
@click.option("--for", "good_for", type=duration, metavar="TIME", help="How long it works: 90d.  [default: ever]")
@server_options
@show.json_option
def token(api: Api, name: str, label: str, good_for: int | None, as_json: bool) -> None:
    """Make a token with which scripts act as someone.

    It is printed once and cannot be shown again. Put it into TOCSIN_TOKEN, with TOCSIN_URL beside it.

    \b
    Examples:
      tocsin user token deploys --name "release pipeline" --for 90d
      export TOCSIN_TOKEN="$(tocsin user token ana)"
    """
    body = {"name": label or f"{name}'s token"}
    if good_for is not None:
        body["expires_in"] = format_duration(good_for)
    made = api.write("POST", f"/users/{segment(name)}/tokens", body)
    if as_json:
        show.print_json(made)
    else:
        click.echo(show.plain(str(made["token"])))


@user.command()
@show.limit_option
@server_options
@show.json_option
def tokens(api: Api, limit: int | None, as_json: bool) -> None:
    """List tokens and sign-in links, the newest first.

    The secrets themselves are not kept.

    \b
    Examples:
      tocsin user tokens
    """
    show.print_list(
        api.every("/tokens", limit=show.asked(limit, as_json)),
        (
            show.Column("Id", right=True),
            show.Column("User"),
            show.Column("Kind", least=60),
            show.Column("Made", least=80),
            show.Column("State"),
            show.Column("Name", wide=True),
        ),
        lambda one: _token_row(one, api.now),
        as_json=as_json,
        limit=limit,
        empty="There is no token.",
        what="tokens",
    )


def _token_row(one: dict[str, Any], now: Instant | None) -> show.Row:
    ends = show.moment(one["expires_at"])
    if one["revoked_at"]:
        state = show.Cell("revoked", "mute")
    elif one["used_at"] and one["kind"] == "link":
        state = show.Cell("used", "mute")
    elif ends is not None and now is not None and ends <= now:
        state = show.Cell("expired", "mute")
    else:
        state = show.Cell(f"ends {ago(ends, now)}" if ends is not None else "works")
    return (
        str(one["id"]),
        str(one["user"]),
        str(one["kind"]),
        ago(show.moment(one["created_at"]), now),
        state,
        str(one["name"]),
    )


@user.command()
@click.argument("id", metavar="ID")
@server_options
@show.json_option
def revoke(api: Api, id: str, as_json: bool) -> None:  # click names it as the argument is named
    """Make a token or sign-in link useless.

    \b
    Examples:
      tocsin user tokens
      tocsin user revoke 3
    """
    api.write("DELETE", f"/tokens/{segment(id)}")
    if as_json:
        show.print_json({"id": id, "revoked": True})
    else:
        show.line(f"Token {id} works no more.")


@user.command()
@click.argument("name", metavar="NAME")
@click.option("--undo", is_flag=True, help="Let them in again.")
@server_options
@show.json_option
def disable(api: Api, name: str, undo: bool, as_json: bool) -> None:
    """Shut someone out.

    Their password, sessions, links and tokens stop working.

    \b
    Examples:
      tocsin user disable ben
      tocsin user disable ben --undo
    """
    changed = api.write("PATCH", f"/users/{segment(name)}", {"disabled": not undo})
    if as_json:
        show.print_json(changed)
    else:
        show.line(f"User {name} {'may sign in again' if undo else 'is shut out'}.")


def read_password() -> str:
    """A new password: asked for twice on a terminal, else one line of stdin. Raises Refused when there is none."""
    if sys.stdin.isatty():
        given: str = click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True)
        return given
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise Refused("No password came on stdin: write it there as one line, or run this on a terminal.")
    return given
