"""Plans as tests write them: as text, without the lines every plan has."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from tocsin.kernel.instant import Instant
from tocsin.plan import Finding, Reading, read_plan
from tocsin.plan.model import Plan

HERE = Path(__file__).parent
HEAD = "tocsin: 1\nteam: shop\npeople: {ana: {email: ana@shop.example}, ben: {email: ben@shop.example}}\n"
HEAD_LINES = HEAD.count("\n")


def example(name: str) -> bytes:
    """The plan file of that name beside the tests."""
    return (HERE / name).read_bytes()


def read(**files: str) -> Reading:
    """Read files given as texts; ``tocsin`` is tocsin.yaml."""
    return read_plan({f"{name}.yaml": dedent(text).encode() for name, text in files.items()})


def good(text: str) -> Plan:
    """The plan of the usual people and ``text``, which must be right."""
    reading = read_plan({"tocsin.yaml": (HEAD + dedent(text)).encode()})
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    return reading.plan


def wrong(text: str) -> list[Finding]:
    """What is wrong with the usual people and ``text``; lines are counted from its first one."""
    reading = read_plan({"tocsin.yaml": (HEAD + dedent(text).removeprefix("\n")).encode()})
    assert reading.plan is None
    return [
        Finding(one.level, one.file, one.line - HEAD_LINES, one.column, one.message, one.hint)
        for one in reading.findings
        if one.level == "error"
    ]


def warned(text: str, now: Instant = 0) -> list[str]:
    """The warnings of a plan that stands, without the one on the missing mail server."""
    reading = read_plan({"tocsin.yaml": (HEAD + dedent(text)).encode()}, now)
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    return [one.message for one in reading.findings if "no mail server" not in one.message]
