"""One YAML file as a tree of texts, lists and mappings that know their places.

The parser gives events; this room's own tree is built from them rather than from PyYAML's nodes because only the events
show anchors, tags and further documents, and because a bound on depth can then stop the parser while it runs.
Nothing here decides what a text means: ``10:00``, ``no`` and ``+34600000000`` stay what was written.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Position

MAX_DEPTH: Final = 24
MAX_NODES: Final = 100_000
"""Texts, lists and mappings in one file: fifty times the largest plan we know."""
MAX_TEXT: Final = 8_192
"""Characters of one text."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Scalar:
    """A text as written. ``plain``: without quotes, so that an empty one means "nothing was written"."""

    __slots__ = ("at", "plain", "text")

    def __init__(self, at: Position, text: str, plain: bool) -> None:
        self.at = at
        self.text = text
        self.plain = plain

    @property
    def nothing(self) -> bool:
        """Whether nothing was written, as after the colon of ``services:``."""
        return self.plain and not self.text


class Items:
    """A list."""

    __slots__ = ("at", "items")

    def __init__(self, at: Position) -> None:
        self.at = at
        self.items: list[Node] = []


class Entries:
    """A mapping, in the order written; no key twice."""

    __slots__ = ("at", "entries", "key", "seen")

    def __init__(self, at: Position) -> None:
        self.at = at
        self.entries: list[tuple[Scalar, Node]] = []
        self.key: Scalar | Unreadable | None = None
        self.seen: dict[str, Position] = {}


class Unreadable:
    """Something that was already reported. Whoever meets it says nothing more."""

    __slots__ = ("at",)

    def __init__(self, at: Position) -> None:
        self.at = at


Node = Scalar | Items | Entries | Unreadable


def read_document(file: str, content: bytes, findings: Findings) -> Node | None:
    """The tree of a file, or None when it cannot be read as YAML or says nothing at all (then a notice is left).

    Reports what the language leaves out: anchors and aliases, tags, keys that are not texts, keys said twice,
    a second document, too much depth.
    """
    text = _text(file, content, findings)
    if text is None:
        return None
    try:
        return _Builder(file, findings).build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None and mark.index >= len(text.rstrip()) and error.context_mark is not None:
            mark = error.context_mark  # what is never closed is shown where it began
        findings.error(_place(file, text, mark), *_syntax(error, text, mark))
    except yaml.YAMLError:
        findings.error(Position(file, 1, 1), "this is not YAML")
    return None


class _Builder:
    def __init__(self, file: str, findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._open: list[Items | Entries] = []
        self._root: Node | None = None
        self._nodes = 0

    def build(self, text: str) -> Node | None:
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.NodeEvent):
                at = self._at(event)
                if not self._within_bounds(at):
                    return None
                if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
                    anchor = shown(f"&{event.anchor}")
                    self._findings.error(at, f"anchors are not part of the plan language: {anchor}", _TWICE)
                if isinstance(event, yaml.ScalarEvent):
                    self._tag(event.tag, at)
                    self._add(self._scalar(event, at))
                elif isinstance(event, yaml.MappingStartEvent):
                    self._tag(event.tag, at)
                    self._open.append(Entries(at))
                elif isinstance(event, yaml.SequenceStartEvent):
                    self._tag(event.tag, at)
                    self._open.append(Items(at))
                else:
                    alias = shown(f"*{event.anchor}")
                    self._findings.error(at, f"aliases are not part of the plan language: {alias}", _TWICE)
                    self._add(Unreadable(at))
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._add(self._open.pop())
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    hint = "put what follows `---` in a file of its own"
                    self._findings.error(self._at(event), "a plan file is one document", hint)
                    break
        if isinstance(self._root, Scalar) and self._root.nothing:
            self._root = None
        if self._root is None:
            self._findings.notice(Position(self._file, 1, 1), "this file says nothing")
        return self._root

    def _at(self, event: yaml.Event) -> Position:
        mark = event.start_mark
        assert mark is not None, "both parsers mark every event"
        return Position(self._file, mark.line + 1, mark.column + 1)

    def _within_bounds(self, at: Position) -> bool:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._findings.error(at, f"the file has more than {MAX_NODES:,} values", "split it into several files")
            return False
        if len(self._open) >= MAX_DEPTH:
            self._findings.error(at, f"nested more than {MAX_DEPTH} levels deep; the rest of the file was not read")
            return False
        return True

    def _tag(self, tag: str | None, at: Position) -> None:
        if tag is not None:
            hint = "leave the tag out: every key knows its type"
            self._findings.error(at, f"tags are not part of the plan language: {shown(tag)}", hint)

    def _scalar(self, event: yaml.ScalarEvent, at: Position) -> Node:
        text: str = event.value
        if len(text) > MAX_TEXT:
            self._findings.error(at, f"this text has {len(text):,} characters; {MAX_TEXT:,} are allowed")
            return Unreadable(at)
        return Scalar(at, text, not event.style)

    def _add(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        into = self._open[-1]
        if isinstance(into, Items):
            into.items.append(node)
        elif into.key is None:
            into.key = self._key(into, node)
        else:
            if isinstance(into.key, Scalar):
                into.entries.append((into.key, node))
            into.key = None

    def _key(self, into: Entries, node: Node) -> Scalar | Unreadable:
        if isinstance(node, Unreadable):
            return node
        if not isinstance(node, Scalar):
            self._findings.error(node.at, "a key is a text", "quote it if the brackets are meant")
        elif node.nothing:
            self._findings.error(node.at, "a key is missing before the colon")
        elif node.text == "<<":
            self._findings.error(node.at, "merge keys are not part of the plan language: '<<'", _TWICE)
        elif node.text in into.seen:
            self._findings.error(
                node.at,
                f"{shown(node.text)} is said twice; the first is {into.seen[node.text].seen_from(node.at)}",
                "keep one of them, or join what they say",
            )
        else:
            into.seen[node.text] = node.at
            return node
        return Unreadable(node.at)


_TWICE = "write what you mean where you mean it: a plan is read at night"


def _text(file: str, content: bytes, findings: Findings) -> str | None:
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        hint = "save the file as UTF-8"
        findings.error(Position(file, before.count(b"\n") + 1, column), "the file is not UTF-8 here", hint)
        return None
    control = _CONTROL.search(text)
    if control:
        breaks = list(_BREAK.finditer(text, 0, control.start()))
        column = control.start() - (breaks[-1].end() if breaks else 0) + 1
        name = f"U+{ord(control.group()):04X}"
        at = Position(file, len(breaks) + 1, column)
        findings.error(at, f"the file holds a control character here: {name}", "delete it")
        return None
    return text


def _place(file: str, text: str, mark: yaml.Mark | None) -> Position:
    if mark is None:
        return Position(file, 1, 1)
    # What is missing at the end is reported on a line after the last; point at the last one instead.
    lines = len(_BREAK.split(text.rstrip("\r\n\x85\u2028\u2029")))
    return Position(file, min(mark.line + 1, lines), mark.column + 1 if mark.line < lines else 1)


def _syntax(error: yaml.MarkedYAMLError, text: str, mark: yaml.Mark | None) -> tuple[str, str]:
    """What a syntax error says, and the usual way out."""
    lines = _BREAK.split(text)
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    problem = (error.problem or error.context or "not YAML").strip()
    indent = line[: len(line) - len(line.lstrip())]
    rest = line.strip()
    if "\t" in indent or "tab" in problem or "'\\t'" in problem:
        hint = "indent with spaces: YAML refuses tabs"
    elif re.search(r"(^|[:\-\[,]\s+)[*&!@`%]", rest):
        hint = "quote a text that begins with *, &, !, %, @ or `"
    elif "mapping values are not allowed" in problem:
        hint = "a text with a colon and a space in it is quoted; else look at the indentation"
    elif "flow" in (error.context or ""):
        hint = "a bracket or a comma is missing, or a text with one in it is not quoted"
    elif "quoted scalar" in (error.context or ""):
        hint = "a closing quote is missing, or a backslash needs single quotes around the text"
    elif "block" in (error.context or ""):
        hint = "look at the indentation of this line and of the one before"
    else:
        hint = ""
    where = f"{error.context} " if error.context and error.context != problem else ""
    return f"this is not YAML: {where}{problem}", hint
