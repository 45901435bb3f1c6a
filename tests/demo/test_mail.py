"""The mail catcher and its inbox: real mail by SMTP, shown safely in a real browser."""

from __future__ import annotations

import asyncio
import http.client
import os
import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright

from tests.support import needs
from tocsin.demo import ports
from tocsin.demo.inbox import Inbox
from tocsin.demo.mail import LARGEST, MOST, Catcher, read

HOSTILE = '<script>document.title="owned"</script><img src=x onerror="parent.document.title=1">'


@pytest.fixture
async def post():
    """A catcher and its inbox, listening: (catcher, smtp port, inbox port)."""
    catcher = Catcher()
    smtp, web = ports.near(20_000), ports.near(20_000)
    await catcher.listen(smtp.take())
    inbox = Inbox(catcher, "http://127.0.0.1:1/")
    await inbox.listen(web.take())
    yield catcher, smtp.number, web.number
    await inbox.close()
    await catcher.close()


def mail(subject: str, text: str = "text", html: str = "", to: str = "ana@shop.example") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Tocsin <tocsin@shop.example>", to, subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


async def send(port: int, *messages: EmailMessage) -> None:
    def all_of_them() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            for message in messages:
                client.send_message(message)

    await asyncio.to_thread(all_of_them)


async def get(port: int, path: str, method: str = "GET", host: str = "") -> tuple[int, str, dict[str, str]]:
    def ask() -> tuple[int, str, dict[str, str]]:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            client.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
            answer = client.getresponse()
            return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            client.close()

    return await asyncio.to_thread(ask)


async def test_a_mail_sent_by_smtp_is_in_the_inbox(post):
    """What a client hands over is listed, newest first, and shown with its link."""
    catcher, smtp, web = post
    await send(
        smtp,
        mail("First"),
        mail("#2 Zweite Störung ✓", "Acknowledge: http://127.0.0.1:8080/p/abc\n", to="ben@shop.example"),
    )
    assert [letter.subject for letter in catcher.letters] == ["First", "#2 Zweite Störung ✓"]

    status, page, _ = await get(web, "/")
    assert status == 200
    assert page.index("#2 Zweite Störung ✓") < page.index("First")
    status, page, _ = await get(web, "/mails/2")
    assert status == 200
    assert "ben@shop.example" in page
    assert '<a href="http://127.0.0.1:8080/p/abc" rel="noopener" target="_blank">' in page
    assert "Zweite" in (await get(web, "/mails/2/source"))[1]


async def test_nothing_in_a_mail_becomes_part_of_the_page(post):
    """Subjects, addresses and texts are escaped; the mail's HTML stays in a frame that can do nothing."""
    _, smtp, web = post
    await send(
        smtp,
        mail(f"Hi {HOSTILE}", HOSTILE, f"<html><head></head><body>{HOSTILE}</body></html>"),
        mail("plain", HOSTILE),
    )
    for path in ("/", "/mails/1", "/mails/2", "/list?open=1"):
        status, page, headers = await get(web, path)
        assert status == 200
        assert "owned</script>" not in page
        assert "<script>" not in page
        assert "<img" not in page
        assert "script-src 'self'" in headers["content-security-policy"]
    status, body, headers = await get(web, "/mails/1/html")
    assert status == 200
    assert HOSTILE in body
    assert '<head><base target="_blank">' in body
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


async def test_the_inbox_answers_only_who_asks_for_this_machine(post):
    """A foreign name that points at 127.0.0.1 gets nothing; nor does anything but GET."""
    _, smtp, web = post
    await send(smtp, mail("secret"))
    assert (await get(web, "/", host="evil.example"))[0] == 421
    assert (await get(web, "/", host=f"localhost:{web}"))[0] == 200
    assert (await get(web, "/mails/1", method="POST"))[0] == 405
    assert (await get(web, "/mails/1", method="HEAD"))[1] == ""
    for path in ("/mails/2", "/mails/1/../../etc/passwd", "/nowhere", "/mails/99999999999", "/inbox.html"):
        assert (await get(web, path))[0] == 404
    assert (await get(web, "/list?open=elephant"))[0] == 200


async def test_a_request_that_is_none_does_no_harm(post):
    """Garbage, silence and endless headers end the connection, and the next caller is served."""
    _, _, web = post
    for rubbish in (b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x" * 40_000, b"\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", web)
        writer.write(rubbish)
        try:
            await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            pass
        writer.close()
    assert (await get(web, "/"))[0] == 200


async def test_a_mail_too_large_is_refused_and_old_ones_go(post):
    """The catcher's memory is bounded."""
    catcher, smtp, _ = post
    with pytest.raises(smtplib.SMTPException):
        await send(smtp, mail("large", "x" * 70 * (LARGEST // 60)))
    for number in range(MOST + 5):
        await catcher.handle_DATA(None, None, _Envelope(mail(str(number))))
    assert len(catcher.letters) == MOST
    assert catcher.caught == MOST + 5
    assert catcher.letter(5) is None
    kept = catcher.letter(6)
    assert kept is not None
    assert kept.subject == "5"


class _Envelope:
    mail_from = "tocsin@shop.example"

    def __init__(self, message: EmailMessage) -> None:
        self.original_content = bytes(message)
        self.rcpt_tos = ["ana@shop.example"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no headers at all",
        b"Subject: =?utf-8?b?bad base64!!?=\r\n\r\nx",
        b"Content-Type: text/plain; charset=klingon\r\n\r\nx",
        b"Content-Type: multipart/alternative; boundary=\r\n\r\nx",
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"To: " + b"a," * 500 + b"\r\nSubject: \xff\xfe\r\n\r\n\xff",
    ],
)
def test_a_mail_that_cannot_be_read_is_kept_as_it_came(content):
    """Broken mails are still mails that arrived."""
    letter = read(1, "03:24:00", "", (), content)
    assert letter.number == 1
    assert letter.subject
    assert letter.source == content.decode("utf-8", "replace")


PAGE = """<!doctype html><html><head><meta name="color-scheme" content="light dark"><style>
body{font-family:sans-serif;margin:24px}
a.b{display:block;padding:20px;text-align:center;background:#b02a10;color:#fff;font-weight:600}</style></head><body>
<h1>payments does not answer</h1><p>GET http://127.0.0.1:18090/health did not answer within 1 s</p>
<p><a class="b" href="%s">Open and acknowledge</a></p><p>Ben is paged in 10 s if nobody answers.</p>
<div style="height:900px;border-left:3px solid"></div><p>The end of the mail.</p></body></html>"""


def listen(page: Page, into: list[str]) -> None:
    page.on("console", lambda said: into.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: into.append(str(error)))


@pytest.mark.browser
async def test_the_inbox_in_a_browser(post):
    """The list is live, the mail as tall as it is, its links open in a new tab; nothing overflows; axe is content."""
    _, smtp, web = post
    elsewhere = f"http://127.0.0.1:{web}/inbox.css"
    await send(
        smtp,
        mail(
            "#1 SEV1 payments: GET http://127.0.0.1:18090/health did not answer within 1 s",
            "See the page.",
            PAGE % elsewhere,
        ),
    )
    shots = os.environ.get("TOCSIN_SHOTS", "")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=needs.program("chromium", "chromium-browser", "google-chrome"),
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            for width in (390, 1280):
                context = await browser.new_context(
                    viewport={"width": width, "height": 844},
                    color_scheme=scheme,
                )
                page = await context.new_page()
                complaints: list[str] = []
                listen(page, complaints)
                for name, path in (("list", "/"), ("mail", "/mails/1")):
                    await page.goto(f"http://127.0.0.1:{web}{path}")
                    wide = await page.evaluate("document.documentElement.scrollWidth")
                    assert wide <= width, (name, width, wide)
                    found = await Axe().run(page)
                    assert found.violations_count == 0, found.generate_report()
                    if shots:
                        await page.screenshot(path=Path(shots) / f"inbox-{name}-{width}-{scheme}.png")
                assert await page.locator("iframe").evaluate("frame => frame.clientHeight") > 900
                async with context.expect_page() as opened:
                    await page.frame_locator("iframe").get_by_role("link", name="Open and acknowledge").click()
                assert (await opened.value).url == elsewhere
                assert complaints == []
                await context.close()

        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{web}/")
        await send(smtp, mail("#2 arrives while one looks", "x", f"<html><body>{HOSTILE}</body></html>"))
        await page.get_by_role("link", name="#2 arrives while one looks").click()
        await page.frame_locator("iframe").locator("body").wait_for()
        assert await page.title() == "#2 arrives while one looks · Inbox"
        await browser.close()
