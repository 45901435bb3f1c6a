"""The words of a page: whatever a monitor writes, nothing breaks, nothing is injected, everything is escaped."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.channels.words import page
from tocsin.kernel.instant import DAY, HOUR, MINUTE, parse_rfc3339
from tocsin.pages import rendering
from tocsin.pages.channels import smtp, terminal, webhook
from tocsin.pages.message import Message

NIGHT = {"now": parse_rfc3339("2026-10-20T01:24:02Z"), "since": parse_rfc3339("2026-10-20T01:18:00Z")}

nasty = st.sampled_from(
    [
        "\r\nBcc: eve@evil.example\r\n\r\n",
        "\n\n",
        "</td></table><script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "&lt;b&gt;",
        "\u202etxt.exe",
        "مرحبا بالعالم",
        "\ud800",
        "\udfff\ud83d",
        "\x00\x1b[2J\x9b",
        "=?utf-8?q?=0aBcc=3a?=",
        "\u2028\u2029\x85\x0b\x0c",
        "😀" * 50,
        "x" * 50_000,
        "a " * 20_000,
        "{{7*7}}${x}%s",
        "javascript:alert(1)",
        "http://a/\"onmouseover='x'",
        "https://ok.example/x",
        "Europe/Madrid",
        "../../etc/passwd",
        "",
    ]
)
anything = st.text(st.characters(exclude_categories=()), max_size=80)
texts = st.one_of(nasty, anything, st.builds("{}{}".format, nasty, nasty))
instants = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 4 * 10**15))
messages = st.builds(
    Message,
    page=st.integers(0, 2**63),
    idempotency_key=texts,
    kind=st.one_of(st.sampled_from(["page", "notice"]), texts),
    person=texts,
    person_name=texts,
    address=st.just("ana@shop.example"),
    timezone=st.one_of(st.sampled_from(["Europe/Madrid", "Asia/Tokyo", "Pacific/Kiritimati", "Etc/GMT+12"]), texts),
    incident=st.integers(0, 2**63),
    title=texts,
    service=texts,
    severity=st.one_of(st.sampled_from(["sev1", "SEV4", "sev9", "critical"]), texts),
    since=instants,
    now=instants,
    state=st.one_of(st.sampled_from(["triggered", "acknowledged", "resolved"]), texts),
    alerts=st.integers(0, 10**9),
    firing=st.integers(0, 10**9),
    because=texts,
    next_step=texts,
    lines=st.lists(texts, max_size=30).map(tuple),
    url=texts,
    acknowledge_url=texts,
    possible_duplicate=st.booleans(),
)

HEADERS = {
    "Subject", "From", "To", "Date", "Message-ID", "References", "Auto-Submitted", "X-Auto-Response-Suppress",
    "X-Priority", "Importance", "X-Tocsin-Kind", "X-Tocsin-Page", "X-Tocsin-Incident", "X-Tocsin-Service",
    "X-Tocsin-Severity", "MIME-Version", "Content-Type",
}  # fmt: skip
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td", "p", "span", "i", "h1", "a", "ul",
    "li",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "class", "style", "role", "width", "cellpadding", "cellspacing", "border",
    "align", "bgcolor", "dir", "href", "aria-hidden",
}  # fmt: skip


class Reader(HTMLParser):
    """What a mail program sees: the elements, their attributes, the links, the text outside of <style>."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


@given(messages)
@settings(max_examples=300)
def test_no_text_breaks_a_mail_adds_a_header_or_leaves_its_own_place(message: Message) -> None:
    mail = smtp.written(message, "Tocsin <tocsin@shop.example>")
    raw = mail.as_bytes()
    head = raw.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert len(names) == len(set(names))
    assert set(names) <= HEADERS
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert len(raw) < 400_000


@given(messages)
@settings(max_examples=300)
def test_html_is_made_of_our_own_elements_only_and_of_one_link(message: Message) -> None:
    seen = Reader(rendering.html(message))
    assert seen.elements <= ELEMENTS
    assert seen.attributes <= ATTRIBUTES
    assert not seen.open
    assert seen.links in ([], [rendering.link(message)])
    assert all(link.lower().startswith(("http://", "https://")) for link in seen.links)


@given(messages)
@settings(max_examples=300)
def test_text_subject_console_and_payload_take_any_text(message: Message) -> None:
    subject, text = rendering.subject(message), rendering.text(message)
    assert len(subject) <= 330, "the bounds of its parts, in all"
    assert subject.isprintable() or not any(character in subject for character in "\r\n\x1b\x00")
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    (subject + text).encode()
    assert "\x1b" not in terminal.page(message, coloured=False)
    told = json.loads(webhook.payload(message))
    assert told["data"]["incident"]["number"] == message.incident
    headers = webhook.signed(rendering.stable_key(message), message.now, b"{}", b"key")
    assert all(value.isascii() and value.isprintable() for value in headers.values())


@given(st.text(st.characters(exclude_categories=()), max_size=400), st.integers(1, 200))
def test_plain_is_one_bounded_line_that_can_be_written(text: str, limit: int) -> None:
    line = rendering.plain(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    line.encode()
    assert rendering.plain(line, limit) == line


def words(**other: Any) -> Message:
    return page(**(NIGHT | other))


def test_times_are_the_persons_and_name_their_zone() -> None:
    assert rendering.since(words()) == "Since 03:18, for 6 min"
    assert rendering.clock(words()) == "Tue 20 Oct 03:24:02, Europe/Madrid (UTC+2)"
    assert rendering.clock(words(timezone="Asia/Kolkata")) == "Tue 20 Oct 06:54:02, Asia/Kolkata (UTC+5:30)"
    assert rendering.clock(words(timezone="America/St_Johns")) == "Mon 19 Oct 22:54:02, America/St_Johns (UTC-2:30)"
    assert rendering.clock(words(timezone="UTC")) == "Tue 20 Oct 01:24:02, UTC"
    assert rendering.clock(words(timezone="Mars/Olympus")) == "Tue 20 Oct 01:24:02, UTC"
    assert rendering.since(words(since=NIGHT["now"] - 5 * HOUR)) == "Since Mon 19 Oct 22:24, for 5 h"


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (-5, "just now"),
        (0, "just now"),
        (59 * MINUTE // 60, "just now"),
        (MINUTE, "for 1 min"),
        (HOUR - 1, "for 59 min"),
        (HOUR, "for 1 h"),
        (2 * HOUR + 27 * MINUTE, "for 2 h 27 min"),
        (DAY, "for 1 day"),
        (2 * DAY + 3 * HOUR, "for 2 days 3 h"),
        (30 * DAY + HOUR, "for 30 days"),
    ],
)
def test_spans_are_said_in_two_units_at_most(span: int, said: str) -> None:
    assert rendering.span(span) == said


def test_the_subject_has_severity_what_and_which() -> None:
    assert rendering.subject(words()) == "[SEV1] Checkout answers 503 (#12)"
    assert rendering.subject(words(severity="critical")) == "[critical] Checkout answers 503 (#12)"
    assert rendering.subject(words(kind="notice", incident=0)) == "[notice] Checkout answers 503"
    assert rendering.subject(words(title="  ", severity="")) == "[page] checkout: Something is wrong (#12)"
    assert rendering.subject(words(title="Payments time out")) == "[SEV1] checkout: Payments time out (#12)"
    assert rendering.subject(words(title="Disk full", service="")) == "[SEV1] Disk full (#12)"


def test_the_text_says_what_since_when_how_bad_and_what_follows() -> None:
    assert rendering.text(words(possible_duplicate=True)) == (
        "Checkout answers 503\n\n"
        "Since 03:18, for 6 min. SEV1, triggered, checkout.\n\n"
        "Acknowledge: https://tocsin.example/page/abc123\n"
        "Nothing happens until you press Acknowledge there.\n\n"
        "Ben is paged in 5 min if nobody answers.\n\n"
        "- GET http://checkout/health answered 503 after 0.2 s\n"
        "- The process payments hangs\n"
        "  and 1 more alert\n\n"
        "You may have this already: Tocsin stopped while it was leaving and sends it again to be sure.\n\n"
        "Tocsin pages Ana because this step of the escalation was due.\n"
        "Incident #12. Tue 20 Oct 03:24:02, Europe/Madrid (UTC+2)\n"
    )


def test_html_says_the_same_and_shows_foreign_markup_as_text() -> None:
    seen = Reader(rendering.html(words(title="<b>Checkout</b> & co")))
    for part in (
        "<b>Checkout</b> & co",
        "Since 03:18, for 6 min · checkout",
        "SEV1",
        "Triggered",
        "Open to acknowledge",
        "Ben is paged in 5 min if nobody answers.",
        "Nothing happens until you press Acknowledge there.",
        "and 1 more alert",
        "because this step of the escalation was due",
    ):
        assert part in seen.words
    assert seen.links == ["https://tocsin.example/page/abc123"]


def test_a_notice_leads_to_what_it_tells_of_and_asks_for_nothing() -> None:
    about = words(kind="notice", next_step="", incident=0, severity="", state="", service="", lines=(), alerts=0)
    seen = Reader(rendering.html(about))
    assert seen.links == ["https://tocsin.example/incidents/12"]
    assert "cknowledge" not in seen.words + rendering.text(about)
    assert "Open in Tocsin" in seen.words
    assert "Incident" not in seen.words
    assert "Open the incident" in rendering.html(words(kind="notice"))
    assert rendering.text(about).split("\n\n")[1] == "Since 03:18, for 6 min."


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil", "http://a b", 'https://a"b', "https://a\nb", "ftp://a"]
)
def test_only_a_web_address_becomes_a_link(url: str) -> None:
    message = words(acknowledge_url=url, url="")
    assert Reader(rendering.html(message)).links == []
    assert url not in rendering.text(message)
