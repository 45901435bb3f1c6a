"""Runbooks in Markdown, ``playbooks/*.md``, read as checklists: headings, task items, and what stands below each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from tocsin.notation.decoder import Field, ListOf, Record, RecordOf
from tocsin.notation.documents import read_document
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Position
from tocsin.notation.words import NAME_PATTERN
from tocsin.plan.playbook_file import Groups
from tocsin.plan.words import LEVEL
from tocsin.playbooks.checklist import MOST_ITEMS, Checklist, Item
from tocsin.playbooks.manifest import FOLDER

MOST_TEXT: Final = 500
MOST_DETAIL: Final = 4_000
_TASK: Final = re.compile(r"(?P<indent> *)(?:[-*+]|\d{1,9}[.)]) +\[[ xX]\] +(?P<text>\S.*)")
_HEADING: Final = re.compile(r"(?P<level>#{1,6}) +(?P<text>.*?)(?: +#*)?")
_FENCE: Final = re.compile(r" *(?P<mark>```+|~~~+)")
_BUTTON: Final = re.compile(r"\[(?P<text>[^\]]+)\]\(playbook:(?P<name>[^)\s]*)\)")
_README: Final = re.compile(r"(.*/)?readme\.md", re.IGNORECASE)


class ChecklistHead(Record):
    """What stands between two lines of --- at the top of a runbook."""

    what = "the head of a checklist"
    answers = Field(Groups(), "The alerts it is for. Default: every incident of the services that name it.")
    severity = Field(ListOf(LEVEL, "severities", at_most=5, single=True), "Only incidents of these.")


_HEAD: Final = RecordOf(ChecklistHead)


def is_checklist(name: str) -> bool:
    """Whether a file of a plan is a runbook, by its path. A README is none."""
    return name.startswith(FOLDER) and name.endswith(".md") and not _README.fullmatch(name)


def read_checklists(files: Mapping[str, bytes], findings: Findings) -> list[Checklist]:
    """The checklists among a plan's files; what is wrong with them is reported."""
    found = []
    for name in sorted(files):
        if is_checklist(name):
            one = _checklist(name, files[name], findings)
            if one is not None:
                found.append(one)
    return found


def _checklist(file: str, content: bytes, findings: Findings) -> Checklist | None:
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        findings.error(Position(file, line, 1), "the file is not UTF-8 here", "save the file as UTF-8")
        return None
    name = file.rpartition("/")[2].removesuffix(".md")
    if not re.fullmatch(NAME_PATTERN, name):
        hint = "small letters, digits, '.', '_' and '-', such as restart-cart.md"
        findings.error(Position(file, 1, 1), f"{shown(name)} is no name for a checklist: it is the file's", hint)
        return None
    lines = text.splitlines()
    head, begins = _head(file, lines, findings)
    reader = _Reader(file, findings)
    for at, written in enumerate(lines[begins:], begins + 1):
        reader.take(at, written)
    items = reader.items()
    if not items:
        hint = "write `- [ ] what to do`; a file that is no runbook is called README.md"
        findings.warning(Position(file, 1, 1), "this runbook has no step to tick, and is left out", hint)
        return None
    return Checklist(
        name=name,
        file=file,
        line=1,
        title=reader.title or name.replace("-", " ").capitalize(),
        items=tuple(items),
        answers=(head.answers if head else None) or (),
        severities=(head.severity if head else None) or (),
    )


def _head(file: str, lines: list[str], findings: Findings) -> tuple[ChecklistHead | None, int]:
    """What the block at the top says, and at which line the rest begins, counted from 0."""
    if not lines or lines[0].rstrip() != "---":
        return None, 0
    end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        findings.error(Position(file, 1, 1), "the block that begins here has no end", "end it with a line ---")
        return None, len(lines)
    said = "\n".join(["", *lines[1:end]])
    node = read_document(file, said.encode(), findings) if said.strip() else None
    return (_HEAD.read(node, findings) if node is not None else None), end + 1


class _Reader:
    """Takes a runbook line by line."""

    def __init__(self, file: str, findings: Findings) -> None:
        self.title = ""
        self._file, self._findings = file, findings
        self._above: list[tuple[int, str]] = []
        self._fence = ""
        self._found: list[tuple[int, str, str, str, list[str]]] = []
        """Line, text, headings, playbook, and the lines below."""
        self._inside = False

    def take(self, number: int, line: str) -> None:
        fence = _FENCE.match(line)
        if self._fence:
            self._below(line)
            if fence and fence["mark"].startswith(self._fence) and not line[fence.end() :].strip():
                self._fence = ""
            return
        heading, task = _HEADING.fullmatch(line), _TASK.fullmatch(line)
        if fence:
            self._fence = fence["mark"]
            self._below(line)
        elif heading:
            self._inside = False
            self._head(len(heading["level"]), heading["text"].strip())
        elif task:
            self._task(number, task["text"].strip())
        elif line.strip() and not line.startswith((" ", "\t")):
            self._inside = False
        else:
            self._below(line)

    def _head(self, level: int, text: str) -> None:
        if not self.title and level == 1:
            self.title = text[:MOST_TEXT]
            return
        self._above = [one for one in self._above if one[0] < level] + [(level, text)]

    def _task(self, number: int, text: str) -> None:
        at = Position(self._file, number, 1)
        buttons = list(_BUTTON.finditer(text))
        if len(buttons) > 1:
            self._findings.error(at, "this step names two playbooks", "make it two steps")
        plain = _BUTTON.sub(lambda found: found["text"], text)
        if len(plain) > MOST_TEXT:
            hint = "say the rest below it, indented"
            self._findings.error(at, f"this step has more than {MOST_TEXT} characters", hint)
        self._inside = True
        under = " › ".join(one for _, one in self._above)
        self._found.append((number, plain, under[:MOST_TEXT], buttons[0]["name"] if buttons else "", []))

    def _below(self, line: str) -> None:
        if self._inside:
            self._found[-1][4].append(line)

    def items(self) -> list[Item]:
        """The steps that were found."""
        if len(self._found) > MOST_ITEMS:
            at = Position(self._file, self._found[MOST_ITEMS][0], 1)
            self._findings.error(at, f"a checklist has at most {MOST_ITEMS} steps", "split it")
        made: list[Item] = []
        seen: dict[str, int] = {}
        for line, text, under, playbook, below in self._found[:MOST_ITEMS]:
            twins = seen[under + text] = seen.get(under + text, 0) + 1
            id = blake2b(f"{under}\n{text}\n{twins}".encode(), digest_size=4).hexdigest()
            made.append(Item(id=id, text=text, line=line, under=under, detail=_detail(below), playbook=playbook))
        return made


def _detail(lines: list[str]) -> str:
    """What stands below a step, without its indentation and the marks of code."""
    kept = [line for line in lines if not _FENCE.match(line)]
    indent = min((len(line) - len(line.lstrip()) for line in kept if line.strip()), default=0)
    return "\n".join(line[indent:].rstrip() for line in kept).strip("\n")[:MOST_DETAIL]
