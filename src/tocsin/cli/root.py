"""The table of commands, and how ``tocsin`` starts and ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Collection
from importlib import import_module

import click

from tocsin import __version__
from tocsin.cli.failure import INTERRUPTED, REFUSED, Failure

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (where it lives, one line for `tocsin --help`; a test holds the line against the command's own help)
    "up": ("tocsin.cli.up:up", "Run Tocsin."),
    "demo": ("tocsin.cli.demo:demo", "Watch Tocsin handle real faults in a small real system."),
    "status": ("tocsin.cli.status:status", "Say how the server is."),
    "incidents": ("tocsin.cli.incidents:incidents", "List, acknowledge and resolve incidents."),
    "alerts": ("tocsin.cli.alerts:alerts", "List alerts."),
    "why": ("tocsin.cli.why:why", "Say why somebody was, or was not, paged."),
    "oncall": ("tocsin.cli.oncall:oncall", "Say who is on call, now and later."),
    "silence": ("tocsin.cli.silence:silence", "Keep alerts quiet for a while."),
    "playbook": ("tocsin.cli.playbook:playbook", "Answer known problems with code."),
    "coverage": ("tocsin.cli.coverage:coverage", "Say which alerts are answered by code."),
    "send": ("tocsin.cli.send:send", "Send an event to a service, to test or from a script."),
    "key": ("tocsin.cli.key:key", "Make and revoke the keys monitors send with."),
    "contact": ("tocsin.cli.contact:contact", "Say how you are reached, and when."),
    "user": ("tocsin.cli.user:user", "Manage who may sign in."),
    "watch-peer": ("tocsin.cli.watch_peer:watch_peer", "Have this Tocsin page when another one is deaf."),
    "channel": ("tocsin.cli.channel:channel", "See and test the ways people are reached."),
    "plan": ("tocsin.cli.plan:plan", "Check, show and reload the plan."),
    "db": ("tocsin.cli.db:db", "Migrate, back up and check the database."),
    "completion": ("tocsin.cli.completion:completion", "Print the completion script for a shell."),
}

HIDDEN: dict[str, str] = {
    # name: where it lives. Processes that `tocsin up` starts for itself; not for people and never listed.
}

SECTIONS = {
    "Run": ("up", "demo", "status"),
    "Respond": ("incidents", "alerts", "why", "oncall", "silence", "playbook", "contact"),
    "Connect": ("send", "key", "channel", "watch-peer", "user"),
    "Look after": ("plan", "coverage", "db", "completion"),
}


class Root(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, or None when there is none of that name."""
        place = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else HIDDEN.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for one that does not exist."""
        if args and args[0] not in COMMANDS and args[0] not in HIDDEN and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = [f"{name} {args[0]}" for name in COMMANDS if args[0] in self._below(name)][:1]
            near = near or get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def _below(self, name: str) -> Collection[str]:
        """The commands of a group, none of a command."""
        command = self.get_command(click.Context(self), name)
        return command.commands if isinstance(command, click.Group) else ()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what one wants to do, from the table alone."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, COMMANDS[name][1]) for name in names])


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Exit codes: 0 done, 1 refused or not found, 2 not understood, 3 the server cannot be reached,
4 not allowed. Every command that prints facts takes --json.""",
)
@click.version_option(__version__, prog_name="tocsin", message="%(prog)s %(version)s")
def tocsin() -> None:
    """Tocsin hears your monitors, opens one incident instead of forty, and wakes a person only when it must.

    \b
    Begin here:
      tocsin up                     start it; everything has a default
      tocsin demo                   watch it work first
      tocsin incidents list         what is wrong right now
      tocsin why 17                 why incident 17 paged somebody, or did not

    Commands talk to the server on this machine (its data folder is ./tocsin-data, or --data, or TOCSIN_DATA),
    or to another one: --url or TOCSIN_URL. A token in TOCSIN_TOKEN says who you are, here as there.
    """


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code. Errors have been printed to stderr."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a replaced stream may lack it, which is suppressed
    try:
        result = tocsin.main(arguments, prog_name="tocsin", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except OSError as error:
        if error.errno != errno.EPIPE:
            Failure(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}").show()
            return REFUSED
        # Whoever read our output has seen enough. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    return result if isinstance(result, int) else 0
