"""What pages name is there: other pages and their headings, files, decisions, commands."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import click
import pytest

from tocsin.cli.root import tocsin

ROOT = Path(__file__).parents[2]
CONTRIBUTING, ARCHITECTURE = ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", CONTRIBUTING]
HERE = ("src", "tests", "docs", "bench", "tools", "packaging", "requirements")
"""Folders of this repository."""
DECISIONS = {page.name[:4] for page in (ROOT / "docs" / "decisions").glob("*.md")}


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@cache
def headings(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE):
        said = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", said).replace(" ", "-")
        again = sum(one == anchor for one in found)
        found.append(f"{anchor}-{again}" if again else anchor)
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_to_what_is_there(page: Path) -> None:
    text = re.sub(r"`[^`\n]+`", "", without_code(page))
    for link in re.findall(r"\]\((?![a-z]+:)([^)\s]+)", text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in headings(target.resolve()), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", [CONTRIBUTING, ARCHITECTURE], ids=lambda page: page.name)
def test_files_and_rooms_that_the_pages_on_the_code_name_are_there(page: Path) -> None:
    files = [path for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py")]
    names, rooms = {path.name for path in files}, {path.parent.name for path in files}
    for said in re.findall(r"`([^`\s]+)`", without_code(page)):
        name = said.split(":")[0]
        ours = re.search(r"\.(py|md|sql)$", name) or name.endswith("/") or name.split("/")[0] in HERE
        if not ours or "<" in name:
            continue
        there = any(any(folder.glob(name)) for folder in (ROOT, ROOT / "src" / "tocsin"))
        assert there or name in names or name.rstrip("/") in rooms, f"{page.name} names {said}"


def test_every_room_has_its_place_in_the_pages_on_the_code() -> None:
    rooms = {path.name for path in (ROOT / "src" / "tocsin").iterdir() if (path / "__init__.py").exists()}
    contributing = set(re.findall(r"`(\w+)`", CONTRIBUTING.read_text(encoding="utf-8")))
    ladder = re.search(r"^    cli .*\n.*$", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
    assert ladder is not None
    assert rooms <= contributing
    assert rooms == set(re.findall(r"\w+", ladder[0])) - {"settings"}


def test_decisions_that_are_named_are_there() -> None:
    ends = {".py", ".md", ".html", ".css", ".js"}
    ours = [path for folder in HERE for path in (ROOT / folder).rglob("*") if path.suffix in ends]
    for path in (*ours, *ROOT.glob("*.md"), ROOT / "pyproject.toml"):
        if "node_modules" in path.parts:
            continue
        for number in re.findall(r"\bdecisions? (\d{1,4})\b", path.read_text(encoding="utf-8"), re.IGNORECASE):
            assert number.zfill(4) in DECISIONS, f"{path.relative_to(ROOT)} names decision {number}"


def commands(page: Path) -> list[str]:
    """What a page has people type, in a sentence or in a block."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"^```(?:sh|console|bash|text)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    typed = re.findall(r"^(?:    |\$ )?((?:[A-Z_]+=\S+ )*tocsin .+)$", f"{blocks}\n{text}", re.MULTILINE)
    typed += re.findall(r"`(tocsin [^`\n]+)`", without_code(page))
    return [re.split(r" [|>#] | && ", re.sub(r"^([A-Z_]+=\S+ )*", "", one))[0] for one in typed]


def test_commands_that_pages_have_people_type_are_there_with_their_options() -> None:
    seen = 0
    for page in PAGES:
        for line in commands(page):
            words, ctx = line.split()[1:], click.Context(tocsin)
            command: click.Command = tocsin
            while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*[.,;:]?", words[0]):
                inner = command.get_command(ctx, words.pop(0).rstrip(".,;:"))
                assert inner is not None, f"{page.name}: {line}"
                command = inner
            seen += 1
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            if not command.context_settings.get("ignore_unknown_options"):
                unknown = set(re.findall(r" \[?(--[a-z][a-z-]*)", line)) - known - {"--help", "--version"}
                assert not unknown, f"{page.name}: {line}"
    assert seen > 200
