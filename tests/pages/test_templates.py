"""A team's own words for pages: placeholders are text, nothing runs, and what must be said stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.channels.words import page
from tocsin.pages import rendering
from tocsin.pages.channels.matrix_client import HOW
from tocsin.pages.channels.matrix_client import said as on_matrix
from tocsin.pages.channels.push import said as pushed
from tocsin.pages.channels.slack_app import said as on_slack
from tocsin.pages.channels.smtp import written
from tocsin.pages.channels.twilio import short, spoken
from tocsin.pages.rendering import plain
from tocsin.pages.templates import LONGEST_FILLED, PLACEHOLDERS, Words, fault, fill

OWN = Words("$severity $service: $title", "$title\n$since\nTried: $tried\nRunbook: https://runbooks.example/$service\n$next")


def test_the_placeholders_are_what_a_message_has() -> None:
    assert set(rendering.values(page())) == set(PLACEHOLDERS)


def test_a_page_is_said_in_those_words_and_still_says_how_to_answer() -> None:
    message = page(words=OWN, possible_duplicate=True, title="Checkout answers 503")
    assert rendering.subject(message) == "SEV1 checkout: Checkout answers 503"
    text = rendering.text(message)
    assert text.startswith("Checkout answers 503\nSince ")
    assert "Runbook: https://runbooks.example/checkout" in text
    assert "Acknowledge: https://tocsin.example/page/abc123" in text
    assert rendering.DUPLICATE in text
    assert "Tried:" not in text, "nothing was tried, so the line is left out"


def test_every_channel_uses_them_and_keeps_what_is_its_own() -> None:
    message = page(words=Words("Wake up: $title", "$title at $service, $next"))
    line = "Checkout answers 503 at checkout, Ben is paged in 5 min if nobody answers."
    html = written(message, "tocsin@shop.example").get_body(("html",))
    assert html is not None
    assert line in html.get_content() and "Open to acknowledge" in html.get_content()
    body = on_matrix(message)["body"]
    assert body.splitlines()[:3] == ["Wake up: Checkout answers 503", line, HOW]
    assert message.acknowledge_url in body
    assert f"*Wake up: Checkout answers 503*\n{line}" in on_slack(message)["blocks"][0]["text"]["text"]
    assert line.encode() in pushed(message, "https://tocsin.example", "t")
    assert short(message).splitlines() == [line, "Reply 34 to acknowledge.", message.acknowledge_url]
    assert f"{line} Press 1 to acknowledge." in spoken(message, "https://tocsin.example/x")


def test_a_link_that_the_words_have_is_not_said_twice() -> None:
    for say in (rendering.text, rendering.chat, short):
        assert say(page(words=Words("", "$title $link"))).count("abc123") == 1


def test_what_a_monitor_wrote_is_no_template_and_leaves_no_line() -> None:
    title = "$because ${link} $$ {title.__class__} <b>\r\nBcc: x@evil.example"
    message = page(title=title, words=Words("$title", "$title"))
    assert rendering.subject(message) == "$because ${link} $$ {title.__class__} <b> Bcc: x@evil.example"
    assert "&lt;b&gt;" in rendering.html(message)
    assert written(message, "tocsin@shop.example")["Bcc"] is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_anything_may_stand_in_a_template_and_in_what_fills_it(text: str, title: str) -> None:
    """It is refused, or filled; it never raises and never grows beyond bounds."""
    wrong, _ = fault(text)
    filled = fill(text, {"title": title})
    assert wrong or len(filled) <= LONGEST_FILLED


def test_many_long_placeholders_are_cut() -> None:
    assert len(fill("$title" * 300, {"title": "x" * 300})) == LONGEST_FILLED


def test_a_line_holds_nothing_that_xml_cannot() -> None:
    """Else a call would say that there was an application error."""
    assert plain("Down\ufffe in\uffff \x00here") == "Down in here"
