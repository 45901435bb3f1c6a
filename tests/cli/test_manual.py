"""The manual and the helps: every command is documented, exemplified, quick to start, and says what it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import msgspec
import pytest

from tests.cli.stage import run
from tocsin.api import models as m
from tocsin.cli.failure import EXIT_CODES
from tocsin.cli.root import COMMANDS, SECTIONS, tocsin

MANUAL = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SHARED = {"--url", "--data", "--json", "--limit", "--help", "-h"}


def leaves(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command that does something, with its path."""
    if not isinstance(command, click.Group):
        yield ctx.command_path, command, ctx
        return
    for name in command.list_commands(ctx):
        inner = command.get_command(ctx, name)
        assert inner is not None
        yield from leaves(inner, click.Context(inner, info_name=name, parent=ctx))


LEAVES = list(leaves(tocsin, click.Context(tocsin, info_name="tocsin")))
NAMES = [path for path, _, _ in LEAVES]


def section(title: str) -> str:
    """The text of a section of the manual, by its heading of the third level."""
    found = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##)", MANUAL, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section {title}"
    return found[1]


@pytest.mark.parametrize(("path", "command", "ctx"), LEAVES, ids=NAMES)
def test_every_command_and_option_is_in_the_manual(path: str, command: click.Command, ctx: click.Context) -> None:
    """Under a heading with its arguments; options that many share are described once."""
    pieces = [one.make_metavar(ctx) for one in command.params if isinstance(one, click.Argument)]
    told = section(f"`{' '.join([path, *pieces])}`")
    for option in command.params:
        if isinstance(option, click.Option) and (path in ("tocsin up", "tocsin demo") or not SHARED & set(option.opts)):
            for name in option.opts:
                assert f"`{name}" in told, f"{path} {name} is not in docs/cli.md"
            if option.envvar and option.envvar != "USER":
                assert f"`{option.envvar}`" in told


def test_the_manual_names_no_command_that_does_not_exist() -> None:
    """A heading outlives no command."""
    headings = re.findall(r"^### `(tocsin [a-z -]+?)(?: [\[{A-Z].*)?`$", MANUAL, re.MULTILINE)
    assert sorted(headings) == sorted(NAMES)


@pytest.mark.parametrize(("path", "command", "ctx"), LEAVES, ids=NAMES)
def test_every_command_has_an_example_that_it_would_understand(
    path: str, command: click.Command, ctx: click.Context
) -> None:
    """The help shows it, and its options exist."""
    assert command.help
    _, _, examples = command.help.partition("Examples:")
    assert path in examples
    known = {name for option in command.params for name in option.opts}
    for line in examples.splitlines():
        mine = line.partition(" | ")[0] if line.strip().startswith(path) else ""
        for name in re.findall(r" (--[a-z-]+)", mine.partition(" && ")[0]):
            assert name in known, f"{path}: the example has {name}"


@pytest.mark.parametrize(("path", "command", "ctx"), LEAVES, ids=NAMES)
def test_every_option_says_what_it_does(path: str, command: click.Command, ctx: click.Context) -> None:
    """No option without a help text, and no list of commands with half a sentence."""
    assert all(one.help for one in command.params if isinstance(one, click.Option))
    assert "..." not in command.get_short_help_str(66)


def test_the_list_of_commands_says_what_each_command_says() -> None:
    """The table is read without importing any command, so it is held against them here."""
    for name, (place, short) in COMMANDS.items():
        module, _, attribute = place.partition(":")
        assert getattr(import_module(module), attribute).get_short_help_str(200).rstrip(".") + "." == short, name
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)


def test_exit_codes_are_in_the_manual() -> None:
    """With the same words."""
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in MANUAL


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("Incident", m.PublishedIncident),
        ("Timeline entry", m.PublishedEntry),
        ("Page", m.PublishedPage),
        ("Contact method", m.PublishedContact),
        ("Alert", m.PublishedAlert),
        ("Silence", m.PublishedSilence),
        ("On call", m.PublishedOnCall),
        ("Shift", m.PublishedShift),
        ("Override", m.PublishedOverride),
        ("Explanation", m.PublishedExplanation),
        ("Playbook", m.PublishedPlaybook),
        ("Run", m.PublishedRun),
        ("Key", m.PublishedKey),
        ("User", m.PublishedUser),
        ("Token", m.PublishedToken),
        ("Status", m.PublishedStatus),
    ],
)
def test_every_field_of_the_json_is_in_the_manual(title: str, model: type[msgspec.Struct]) -> None:
    """And none that is not there."""
    rows = [row.split("|")[1] for row in section(title).splitlines() if row.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    assert sorted(told) == sorted(field.encode_name for field in msgspec.structs.fields(model))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["incidents", "list", "--help"], ["up", "--help"], ["silence", "--help"]]
)
def test_help_imports_nothing_it_does_not_need(arguments: list[str]) -> None:
    """Neither the server nor rich nor an HTTP client."""
    code = (
        "import sys\nfrom tocsin.cli.root import run\n"
        f"run({arguments!r})\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'rich', 'sqlalchemy', 'litestar', 'uvicorn', 'httpx2', 'yaml', 'alembic', 're2', 'asyncio', 'structlog'}), "
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "[]\n"


def test_a_pipe_does_not_import_rich() -> None:
    """It draws for terminals only."""
    code = (
        "import sys\nfrom tocsin.cli.show import Column, print_table\n"
        "print_table((Column('a'), Column('b', wide=True)), [('1', '2')])\nassert 'rich' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "A  B\n1  2\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str) -> None:
    """It asks tocsin itself what may follow."""
    out = run("completion", shell).out
    assert f"_TOCSIN_COMPLETE={shell}_complete" in out
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=out, text=True, check=True, timeout=30)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("tocsin inc", "incidents"),
        ("tocsin incidents a", "ack"),
        ("tocsin incidents list --sta", "--state"),
        ("tocsin alerts --state re", "resolved"),
    ],
)
def test_completion_offers_what_may_follow(typed: str, offered: str) -> None:
    """Commands, options and their choices."""
    words = typed.split()
    done = run(_TOCSIN_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
    assert offered in [line.partition(",")[2] for line in done.out.splitlines()]


def test_the_version_is_printed() -> None:
    """One line, for bug reports."""
    assert re.fullmatch(r"tocsin \d+\.\d+\.\d+\n", run("--version").out)


def test_python_dash_m_is_the_same_command() -> None:
    """For where the script is not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == run("--version").out


def test_up_refuses_half_of_what_tls_needs(tmp_path: Path) -> None:
    """A certificate without its key is a mistake in the command, found before anything starts."""
    (tmp_path / "cert.pem").write_text("x")
    done = run("up", "--tls-cert", str(tmp_path / "cert.pem"), "--data", str(tmp_path / "data"))
    assert done.code == 2
    assert "--tls-key" in done.err
    assert not (tmp_path / "data").exists()
    assert run("up", TOCSIN_PAGING="maybe").code == 2
    assert run("up", "--public-url", "tocsin.example.com").code == 2
