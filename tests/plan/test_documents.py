"""Files that mean harm, or are no plan at all, are refused with a line, soon, and without a trace back."""

from __future__ import annotations

import pytest
import yaml

from tocsin.notation import documents
from tocsin.plan import read_plan

MANY = 1_000_000

HOSTILE = {
    "lists in lists": (b"[" * MANY, "nested more than 24 levels deep"),
    "mappings in mappings": (b"{a: " * (MANY // 4), "nested more than 24 levels deep"),
    "dashes": (b"- " * (MANY // 2), "nested more than 24 levels deep"),
    "question marks": (b"? " * (MANY // 2), "nested more than 24 levels deep"),
    "many values": (b"[" + b"a," * (MANY // 2 - 1), "the file has more than 100,000 values"),
    "one huge text": (b"a: '" + b"x" * (MANY - 10) + b"'", "this text has 999,990 characters"),
    "aliases of aliases": (
        b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
        "aliases are not part of the plan language: '*a'",
    ),
    "an alias of itself": (b"a: &a [*a]", "aliases are not part of the plan language: '*a'"),
    "code": (b"a: !!python/object/apply:os.system [x]", "tags are not part of the plan language"),
    "a bare tag": (b"a: ! x", "tags are not part of the plan language"),
    "latin 1": ("a: b\nc: ñ".encode("latin-1"), "the file is not UTF-8 here"),
    "utf 16": ("a: b".encode("utf-16"), "the file is not UTF-8 here"),
    "a zero byte": (b"a: b\nc: \0", "the file holds a control character here: U+0000"),
    "an escape": (b"a: \x1b[31m", "the file holds a control character here: U+001B"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "the file is not UTF-8 here"),
    "a directive": (b"%YAML 9.9\n---\na: b", "this is not YAML"),
    "an unknown directive tag": (b"%TAG ! tag:x,2000:\n---\n!a b", "tags are not part of the plan language"),
    "a text": (b"hello", "expected a plan file, found a text"),
    "a list": (b"- a", "expected a plan file, found a list"),
    "a key without end": (b"? " + b"a" * 2000 + b"\n: b", "unknown key"),
}


SLOW = {"many values", "one huge text"}
"""The same bounds in both parsers, and the one in Python would take minutes to reach them."""

CASES = [("CSafeLoader", name) for name in HOSTILE] + [("SafeLoader", name) for name in HOSTILE if name not in SLOW]


@pytest.mark.parametrize(("loader", "name"), CASES)
def test_a_hostile_file_is_refused_with_a_line(loader, name, monkeypatch):
    """With the parser in C and with the one in Python."""
    content, message = HOSTILE[name]
    if loader == "SafeLoader":
        content = content[:100_000]
    monkeypatch.setattr(documents, "_LOADER", getattr(yaml, loader))
    reading = read_plan({"a.yaml": content})
    assert reading.plan is None
    assert message in "\n".join(map(str, reading.findings))
    assert all(one.line >= 1 and one.column >= 1 for one in reading.findings)


def test_what_is_not_utf8_is_found_where_it_stands():
    """Line and column of the byte, counted in characters."""
    (found,) = read_plan({"a.yaml": b"tocsin: 1\na: \xc3\xb1\xff"}).findings
    assert (found.line, found.column, found.hint) == (2, 5, "save the file as UTF-8")


def test_a_control_character_is_found_where_it_stands():
    """Whatever breaks the lines."""
    (found,) = read_plan({"a.yaml": b"tocsin: 1\r\na: b\n  \x07"}).findings
    assert (found.line, found.column) == (3, 3)
