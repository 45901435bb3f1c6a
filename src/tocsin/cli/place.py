"""Where the server is and who asks: an address with a token, or the data folder of this machine's server."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import click

from tocsin.cli.failure import Unauthorised, Unreachable
from tocsin.cli.server import Place
from tocsin.cli.words import meant

DEFAULT_DATA = "tocsin-data"
TOKEN = "token"  # noqa: S105  # a file's name
ADDRESS = "address"
CERTIFICATE = "certificate.pem"

F = TypeVar("F", bound=Callable[..., Any])


def data_option(command: F) -> F:
    """Give a command ``--data``, the folder a server on this machine keeps its data in."""
    return click.option(
        "--data",
        envvar="TOCSIN_DATA",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        show_envvar=True,
        help=f"Data folder of the server on this machine.  [default: ./{DEFAULT_DATA}]",
    )(command)


def server_options(command: F) -> F:
    """Give a command ``--url`` and ``--data``, and hand it an ``Api`` as its argument ``api``."""

    def with_api(*args: Any, url: str | None, data: Path | None, **kwargs: Any) -> Any:
        from tocsin.cli.client import Api

        with Api(find(url, data)) as api:
            return command(*args, api=api, **meant(kwargs))

    return _with_place(with_api, command)


def server_when(flag: str) -> Callable[[F], F]:
    """As ``server_options`` where the named flag is given; else no server is asked, and ``api`` is None."""

    def decorated(command: F) -> F:
        def with_one(*args: Any, url: str | None, data: Path | None, **kwargs: Any) -> Any:
            from tocsin.cli.client import Api

            if not kwargs[flag]:
                return command(*args, api=None, **meant(kwargs))
            with Api(find(url, data)) as api:
                return command(*args, api=api, **meant(kwargs))

        return _with_place(with_one, command)

    return decorated


def server_unless(option: str) -> Callable[[F], F]:
    """As ``server_options`` where the named option is left out; else no server is asked, and ``api`` is None."""

    def decorated(command: F) -> F:
        def with_one(*args: Any, url: str | None, data: Path | None, **kwargs: Any) -> Any:
            from tocsin.cli.client import Api

            if kwargs[option] is None:
                with Api(find(url, data)) as api:
                    return command(*args, api=api, **meant(kwargs))
            if _named_a_server():
                raise click.UsageError(f"Give --{option}, or a server by --url or --data: it is one of them.")
            return command(*args, api=None, **meant(kwargs))

        return _with_place(with_one, command)

    return decorated


def _named_a_server() -> bool:
    context = click.get_current_context()
    return click.core.ParameterSource.COMMANDLINE in map(context.get_parameter_source, ("url", "data"))


def server_or_plan_options(command: F) -> F:
    """As ``server_options``, and ``--plan``: then no server is asked, and ``api`` is None."""

    def with_either(*args: Any, url: str | None, data: Path | None, plan: Path | None, **kwargs: Any) -> Any:
        from tocsin.cli.client import Api

        if plan is None:
            with Api(find(url, data)) as api:
                return command(*args, api=api, plan=None, **meant(kwargs))
        if _named_a_server():
            raise click.UsageError("Give --plan, or a server by --url or --data: the answer comes from one of them.")
        return command(*args, api=None, plan=plan, **meant(kwargs))

    offline = click.option(
        "--plan",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Answer from the plan in this folder or file, without a server.",
    )
    return _with_place(with_either, offline(command))


def _with_place(asking: Callable[..., Any], command: F) -> F:
    wrapped = data_option(update_wrapper(asking, command))
    return cast(
        F,
        click.option(
            "--url",
            envvar="TOCSIN_URL",
            metavar="URL",
            show_envvar=True,
            help="Address of the server; its token is read from TOCSIN_TOKEN.",
        )(wrapped),
    )


def find(url: str | None, data: Path | None) -> Place:
    """Choose the server: an option counts before the environment, then an address before a folder.

    A token in TOCSIN_TOKEN is who the caller is, at this machine's server as elsewhere: only ``--data`` on the command
    line asks for the folder's own, and then it is said that the other is not used.

    Raises click.UsageError, Unreachable and Unauthorised, each with what to do about it.
    """
    context = click.get_current_context()
    given = {
        name: context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE for name in ("url", "data")
    }
    if given["url"] and given["data"]:
        raise click.UsageError("Give --url or --data, not both: each of them names one server.")
    if url and not given["data"]:
        return _by_address(url)
    token = _own_token()
    if token and given["data"]:
        click.echo("Note: --data asks with the token in that folder; the one in TOCSIN_TOKEN is not used.", err=True)
    return _by_folder(data or Path(DEFAULT_DATA), "" if given["data"] else token)


def _own_token() -> str:
    """The token in the environment, "" when there is none. Raises Unauthorised for what cannot be one."""
    token = os.environ.get("TOCSIN_TOKEN", "").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthorised("TOCSIN_TOKEN does not hold a token: it has characters no token has.")
    return token


def _by_address(url: str) -> Place:
    read_address(url)
    token = _own_token()
    if not token:
        raise Unauthorised(
            f"No token for {url}: put one into the environment variable TOCSIN_TOKEN. "
            "Make one on the server's machine with `tocsin user token NAME`."
        )
    return Place(url.rstrip("/"), token, own=True)


def read_address(url: str) -> None:
    """Refuse with click.UsageError what is not the base URL of a server."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise click.UsageError(f"{url!r} is not an address: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f"{url!r} is not an address: write it as https://tocsin.example.com.")
    if parts.username is not None:
        raise click.UsageError("An address must not hold a password or token: put the token into TOCSIN_TOKEN.")
    if parts.query or parts.fragment:
        raise click.UsageError(f"{url!r} is not the address of a server: leave out what follows '?' or '#'.")


def _by_folder(folder: Path, own: str) -> Place:
    try:
        if not folder.is_dir():
            raise Unreachable(
                f"There is no Tocsin data folder at {folder}. "
                "Start a server with `tocsin up`, or say where it is: --data DIR, or --url URL."
            )
        url = _address(folder)
        token = own or _token(folder)
        certificate = folder / CERTIFICATE
        return Place(url, token, folder, certificate if certificate.is_file() else None, bool(own))
    except PermissionError as error:
        owner = _owner(folder)
        raise Unauthorised(
            f"{error.filename} can only be read by {owner}: run this as that user (sudo -u {owner} tocsin ...), "
            "or use --url with a token of your own in TOCSIN_TOKEN."
        ) from None


def _address(folder: Path) -> str:
    try:
        url = (folder / ADDRESS).read_text().strip()
    except FileNotFoundError:
        raise Unreachable(
            f"No server runs on {folder}. Start it with `tocsin up --data {folder}`, "
            "or name another with --url or --data."
        ) from None
    try:
        read_address(url)
    except click.UsageError:
        raise Unreachable(f"{folder / ADDRESS} does not hold the address of a server.") from None
    return url.rstrip("/")


def _token(folder: Path) -> str:
    path = folder / TOKEN
    try:
        # Opened before it is looked at, so that what is checked is what is read.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unreachable(f"No server has started on {folder} yet: it has no token file.") from None
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        raise Unauthorised(
            f"{path} is not a plain file ({error.strerror}): remove it and start the server again."
        ) from None
    with os.fdopen(handle) as file:
        facts = os.fstat(handle)
        mode = stat.S_IMODE(facts.st_mode)
        if mode & 0o077:
            raise Unauthorised(
                f"{path} can be read by other users (its mode is {mode:04o}), so its token is not safe to use. "
                f"Remove it and start the server again for a new one; if you are sure nobody read it: chmod 600 {path}"
            )
        if facts.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
            raise Unauthorised(f"{path} belongs to {_owner(path)}, not to you: a token of somebody else is not used.")
        token = file.read(4096).strip()
    if not token:
        raise Unauthorised(f"{path} is empty: start the server again to have it written.")
    return token


def _owner(path: Path) -> str:
    try:
        uid = path.stat().st_uid
        return pwd.getpwuid(uid).pw_name
    except (OSError, KeyError):
        return "its owner"
