"""The style sheets and templates keep their own rules: two equal dark tables, enough contrast, nothing inline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tocsin.web
from tests.web.conftest import Browserless
from tocsin.web.files import FILES, address

HOME = Path(tocsin.web.__file__).parent
TOKENS = (HOME / "static" / "tokens.css").read_text()
TEMPLATES = sorted((HOME / "templates").glob("*.html"))


def table(start: str) -> dict[str, str]:
    body = TOKENS[TOKENS.index(start) + len(start) :]
    return dict(re.findall(r"(--[\w-]+):\s*([^;]+);", body[: body.index("}")]))


LIGHT, DARK = table(":root {"), table(':root[data-theme="dark"] {')


def test_dark_is_the_same_whether_the_system_or_the_reader_chose_it() -> None:
    assert table(':root:not([data-theme="light"]) {') == DARK


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


TEXT = [
    *((ink, ground) for ink in ("ink", "ink-2", "ink-3", "accent", "ring") for ground in ("paper", "surface", "hover")),
    *((ink, "sunken") for ink in ("ink", "ink-2")),
    *((ink, "raised") for ink in ("ink", "ink-2", "accent")),
    ("on-accent", "accent"),
    ("on-accent", "accent-deep"),
    ("on-ring", "ring-solid"),
    ("held", "held-tint"),
    ("ink", "held-tint"),
    ("ink", "ring-tint"),
    ("ring", "ring-tint"),
    ("ink", "rest-tint"),
    ("accent", "accent-tint"),
    ("code", "code-tint"),
    ("rest", "surface"),
    ("mute", "surface"),
    ("ink-2", "mute-tint"),
    ("ink", "mute-tint"),
    ("accent", "held-tint"),
    ("ink-2", "held-tint"),
    *((f"sev{n}", ground) for n in (1, 2, 3, 4) for ground in ("surface", "hover", "paper")),
]
EDGES = [(edge, ground) for edge in ("line-strong", "focus") for ground in ("paper", "surface", "hover", "raised")]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_edges_stand_out_from_every_ground_they_are_used_on(theme: str) -> None:
    colours = LIGHT if theme == "light" else {**LIGHT, **DARK}
    weak = [
        f"{a} on {b}: {contrast(colours['--' + a], colours['--' + b]):.2f}"
        for a, b in TEXT
        if contrast(colours["--" + a], colours["--" + b]) < 4.5
    ]
    weak += [
        f"{a} on {b}: {contrast(colours['--' + a], colours['--' + b]):.2f}"
        for a, b in EDGES
        if contrast(colours["--" + a], colours["--" + b]) < 3
    ]
    assert weak == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_nothing_inline_and_escapes_everything(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<[^>]*\sstyle=", text), "style attributes are refused by the browser"
    assert not re.search(r"<[^>]*\son\w+=", text), "so are inline handlers"
    assert not re.search(r"<script(?![^>]*src=)", text)
    assert "|safe" not in text.replace(" ", "")
    assert "javascript:" not in text


def test_the_live_script_stays_small() -> None:
    assert len((HOME / "static" / "live.js").read_text().splitlines()) <= 250


def test_every_class_a_template_uses_is_styled() -> None:
    css = "".join((HOME / "static" / name).read_text() for name in ("tokens.css", "tocsin.css", "live.js", "keys.js"))
    used = {
        name
        for template in TEMPLATES
        for value in re.findall(r'class="([^"{}]*)"', template.read_text())
        for name in value.split()
    }
    assert {name for name in used if f".{name}" not in css and name not in css} == set()


def test_static_files_are_named_by_their_content_and_kept_for_good(ana: Browserless) -> None:
    for name in FILES:
        answer = ana.http.get(address(name))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.content == (HOME / "static" / name).read_bytes()
    assert ana.http.get("/static/tocsin.css").status_code == 404
    assert ana.http.get("/static/..%2Fviews.py").status_code == 404


def test_every_page_forbids_what_it_does_not_need(ana: Browserless) -> None:
    for path in ("/", "/sign-in", "/p/x", "/nope"):
        policy = ana.get(path).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_what_may_be_wider_than_its_page_is_reached_by_keyboard(template: Path) -> None:
    """A ``pre`` scrolls sideways on a phone, unless its lines are wrapped."""
    for start in re.findall(r"<pre[^>]*>", template.read_text()):
        assert "tabindex" in start or 'class="out"' in start, start
