"""A message in words: subject, plain text, HTML. Pure; the same message always gives the same words.

Whatever a monitor wrote is a stranger's text: control characters and direction overrides are taken out of everything,
and HTML escapes all of it. Each part is bounded, so a huge label makes a long page and not a huge one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from hashlib import blake2b
from html import escape
from zoneinfo import ZoneInfo

from tocsin.kernel.instant import DAY, HOUR, MINUTE, Duration, Instant, to_datetime
from tocsin.oncall.zone import offset
from tocsin.pages.message import Message
from tocsin.pages.templates import fill, uses

_TITLE, _LINE, _NAME, _ADDRESS, _LINES = 300, 300, 100, 2_000, 20
_EARLIEST, _LATEST = 0, 8_000 * 365 * DAY  # what every zone can show

_BREAKS = re.compile(r"\s+")
# What moves a cursor or ends a line, and what turns the direction of what follows or takes no room at all.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]")
_HALVES = re.compile("[\ud800-\udfff]")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
ONLY_READ = frozenset({"notice", "copy"})
"""Kinds of message that nobody has to answer."""


def plain(text: str, limit: int = _LINE) -> str:
    """One line a person can read: no control characters, no direction overrides, no halves of characters, bounded."""
    text = text[: limit * 4]  # what is cut anyway need not be looked at
    text = _UNSEEN.sub("", _CONTROLS.sub(" ", _HALVES.sub("\ufffd", text)))
    text = _BREAKS.sub(" ", text).strip()
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def stable_key(message: Message) -> str:
    """The idempotency key in characters that any header takes; one that has others is hashed."""
    if _KEY.fullmatch(message.idempotency_key):
        return message.idempotency_key
    return blake2b(message.idempotency_key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def subject(message: Message) -> str:
    """``[SEV1] checkout: Payments time out (#12)``; a notice and a copy say so, an update how it stands.

    A service is named once. The plan's own words, if it has any for this channel, take its place.
    """
    if message.words is not None and message.words.subject:
        return plain(fill(message.words.subject, values(message)), _TITLE) or plain(message.title, _TITLE)
    title = plain(message.title, 160) or "Something is wrong"
    service = plain(message.service, _NAME) if message.incidents == 1 else ""
    if service and not re.search(rf"(?<!\w){re.escape(service)}(?!\w)", title, re.IGNORECASE):
        title = f"{service}: {title}"
    tail = f" (#{message.incident})" if message.incident and message.incidents == 1 else ""
    own = message.kind if message.kind in ("notice", "drill") else severity(message)
    head = (state(message) if message.kind == "update" else own) or "page"
    return f"[{head}{' copy' if message.kind == 'copy' else ''}] {title}{tail}"


def values(message: Message) -> dict[str, str]:
    """What the placeholders of a plan's own words stand for, each clean and bounded."""
    listed = [plain(line) for line in message.lines[:_LINES]] + ([more(message)] if more(message) else [])
    return {
        "title": plain(message.title, _TITLE) or "Something is wrong",
        "service": plain(message.service, _NAME),
        "severity": severity(message),
        "state": state(message),
        "since": since(message),
        "because": f"{because(message)}.",
        "next": after(message),
        "alerts": _several(listed),
        "tried": _several(tried(message)),
        "advice": plain(message.advice),
        "suspected": plain(message.suspected),
        "measured": _several(measured(message)),
        "number": str(message.incident) if message.incident and message.incidents == 1 else "",
        "person": plain(message.person_name, _NAME),
        "time": clock(message),
        "link": link(message),
    }


def _several(lines: Sequence[str]) -> str:
    """One is a phrase within a line; several are a list."""
    return lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)


def own(message: Message) -> str:
    """The plan's own words for this channel, filled in; "" where the usual ones are meant."""
    return fill(message.words.text, values(message)) if message.words is not None and message.words.text else ""


def _linked(message: Message) -> bool:
    """Whether the plan's own words have the link in them already."""
    return message.words is not None and uses(message.words.text, "link")


def severity(message: Message) -> str:
    """``SEV1`` for sev1, the source's own word otherwise, "" when there is none."""
    word = plain(message.severity, 30)
    return word.upper() if re.fullmatch(r"(?i)sev\d", word) else word


def state(message: Message) -> str:
    """Triggered, acknowledged or resolved, as a word for people."""
    return plain(message.state, 30).capitalize()


def answerable(message: Message) -> bool:
    """Whether it leads to a page with an Acknowledge button. Notices and copies never do: nobody has to answer them."""
    return message.kind not in ONLY_READ and link(message) == message.acknowledge_url != ""


def label(message: Message) -> str:
    """What the button says. The button in a mail acknowledges nothing, so it does not claim to."""
    if answerable(message):
        return "Open to acknowledge"
    return "Open the incident" if message.incident else "Open in Tocsin"


def link(message: Message) -> str:
    """The one link of a message: where it is answered, or where it is read. "" unless it is an http(s) URL."""
    for url in ("" if message.kind in ONLY_READ else message.acknowledge_url, message.url):
        if url[:8].lower().startswith(("http://", "https://")) and not re.search(r"[\s<>\"'\\^`{|}]", url):
            cleaned = plain(url, _ADDRESS)
            if cleaned == url:
                return url
    return ""


def since(message: Message) -> str:
    """``Since 03:18, for 6 min``, in the person's zone; with the day when it began on another one."""
    return f"Since {began(message.since, message.now, message.timezone)}, {span(message.now - message.since)}"


def began(at: Instant, now: Instant, timezone: str) -> str:
    """``03:18`` in a zone, with the day when that is not today."""
    local, today = _local(at, timezone), _local(now, timezone)
    return f"{local:%H:%M}" if local.date() == today.date() else f"{local:%a} {local.day} {local:%b %H:%M}"


def span(duration: Duration) -> str:
    """``for 6 min``, in the two largest units a person cares about."""
    if duration < MINUTE:
        return "just now"
    days, rest = divmod(duration, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes = rest // MINUTE
    if days:
        return f"for {days} {'day' if days == 1 else 'days'}" + (f" {hours} h" if hours and days < 7 else "")
    if hours:
        return f"for {hours} h" + (f" {minutes} min" if minutes else "")
    return f"for {minutes} min"


def clock(message: Message) -> str:
    """When the message was written, with its zone named: ``Tue 20 Oct 03:24:02, Europe/Madrid (UTC+2)``."""
    zone, name = _zone(message.timezone)
    now = moment(message.now).astimezone(zone)
    return f"{now:%a} {now.day} {now:%b %H:%M:%S}, {name}" + ("" if name == "UTC" else f" ({offset(now)})")


def more(message: Message) -> str:
    """How many alerts that fire are not named in ``lines``."""
    several = message.incidents > 1
    rest = (message.incidents if several else message.firing) - len(message.lines[:_LINES])
    what = "incident" if several else "alert"
    return f"and {rest} more {what}{'' if rest == 1 else 's'}" if message.lines and rest > 0 else ""


def because(message: Message) -> str:
    """Why this person gets it, as a sentence."""
    name = plain(message.person_name, _NAME) or plain(message.person, _NAME)
    reason = plain(message.because).rstrip(".")
    if message.kind == "copy":
        return f"Tocsin sends {name or 'you'} a copy, and pages whoever is on call" + (
            f", because {reason}" if reason else ""
        )
    verb = "tells" if message.kind == "notice" else "pages"
    return f"Tocsin {verb} {name or 'you'}" + (f" because {reason}" if reason else "")


def after(message: Message) -> str:
    """What happens if nobody answers, as a sentence, or ""."""
    text = plain(message.next_step)
    return text if not text or text[-1] in ".…!?" else f"{text}."


DUPLICATE = "You may have this already: Tocsin stopped while it was leaving and sends it again to be sure."
CAREFUL = "Nothing happens until you press Acknowledge there."


def tried(message: Message) -> list[str]:
    """What code already did about it, a line each."""
    return [plain(one) for one in message.tried[:_LINES] if plain(one)]


def measured(message: Message) -> list[str]:
    """What probes measured until code began, a line each."""
    return [plain(one) for one in message.measured[:_LINES] if plain(one)]


def found(message: Message) -> list[tuple[str, list[str]]]:
    """What is known by the time it leaves, in groups: what is suggested, what changed, what was measured and tried."""
    groups = (
        ("What it suggests next", [plain(message.advice)]),
        ("Suspected change", [plain(message.suspected)]),
        ("What was measured", measured(message)),
        ("What code already tried", tried(message)),
    )
    return [(heading, lines) for heading, lines in groups if any(lines)]


def news(message: Message) -> str:
    """What an update says: ``Ana has it.``, ``Resolved.``, ``Resolved by Ana.``"""
    who = plain(message.who, _NAME)
    if message.state == "acknowledged":
        return f"{who or 'Somebody'} has it."
    return f"{state(message) or 'Changed'}{f' by {who}' if who else ''}."


def chat(message: Message, how: str = "") -> str:
    """The message for a chat, a few lines. ``how``: how it is answered there, as a sentence."""
    lines = [subject(message)]
    if message.kind == "update":
        return "\n".join([*lines, news(message), link(message)]).rstrip()
    if said := own(message):
        rest = [how if message.asks else "", "" if _linked(message) else link(message)]
        return "\n".join([*lines, said, *filter(None, rest), *([DUPLICATE] if message.possible_duplicate else [])])
    known = (state(message).lower(), plain(message.service, _NAME))
    facts = ", ".join(part for part in known if part)
    lines.append(f"{since(message)}.{f' {facts}.' if facts else ''}")
    lines += [f"- {plain(line)}" for line in message.lines[:3] if plain(line) != plain(message.title, _LINE)]
    lines += [f"Measured: {one}" for one in measured(message)[:1]]
    lines += [f"Suspected change: {plain(message.suspected)}"] * bool(message.suspected)
    lines += [f"Code tried: {one}" for one in tried(message)[:3]]
    lines += [f"Suggested next: {plain(message.advice)}"] * bool(message.advice)
    lines += [line for line in (how if message.asks else "", after(message), link(message)) if line]
    if message.possible_duplicate:
        lines.append(DUPLICATE)
    return "\n".join(lines)


def text(message: Message) -> str:
    """The message as plain text, the most urgent first."""
    if said := own(message):
        ask = f"Acknowledge: {link(message)}\n{CAREFUL}" if answerable(message) else f"Read on: {link(message)}"
        parts = [said, "" if _linked(message) or not link(message) else ask]
        return "\n\n".join(filter(None, [*parts, DUPLICATE if message.possible_duplicate else ""])) + "\n"
    known = (severity(message), state(message).lower(), plain(message.service, _NAME))
    facts = ", ".join(part for part in known if part)
    parts = [
        plain(message.title, _TITLE) or "Something is wrong",
        f"{since(message)}.{f' {facts}.' if facts else ''}",
    ]
    if url := link(message):
        ask = f"Acknowledge: {url}\n{CAREFUL}" if answerable(message) else f"Read on: {url}"
        parts.append(ask)
    if following := after(message):
        parts.append(following)
    if message.lines:
        listed = [f"- {plain(line)}" for line in message.lines[:_LINES]]
        parts.append("\n".join([*listed, *([f"  {more(message)}"] if more(message) else [])]))
    parts += ["\n".join([f"{heading}:", *(f"- {one}" for one in lines)]) for heading, lines in found(message)]
    if message.possible_duplicate:
        parts.append(DUPLICATE)
    incident = f"Incident #{message.incident}. " if message.incident and message.incidents == 1 else ""
    parts.append(f"{because(message)}.\n{incident}{clock(message)}")
    return "\n\n".join(parts) + "\n"


def moment(instant: Instant) -> datetime:
    """The instant as a datetime in UTC; one that no calendar has becomes the nearest that every zone can show."""
    return to_datetime(min(max(instant, _EARLIEST), _LATEST))


def _local(instant: Instant, timezone: str) -> datetime:
    return moment(instant).astimezone(_zone(timezone)[0])


def _zone(name: str) -> tuple[tzinfo, str]:
    """The zone and the name to show; UTC when there is no such zone: a page with UTC times beats no page."""
    try:
        return ZoneInfo(name), name
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC"), "UTC"


# Mail programs know little CSS and some drop <style> altogether, so the light look is inline and complete, and the dark
# one is laid over it by those that can. Colours as in the web pages' tokens, light / dark.
_SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Arial,sans-serif"
_STYLE = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  .paper { background: #0e1413 !important; }
  .ink { color: #e2e9e6 !important; }
  .ink2 { color: #acbab5 !important; }
  .line { border-color: #283431 !important; }
  .button { background: #6cc5bb !important; }
  .act { color: #04211e !important; }
  .solid { background: #f4775a !important; color: #260a02 !important; }
  .held { background: #31260d !important; color: #e3b75f !important; }
  .rest { background: #12302d !important; color: #6cc5bb !important; }
  .sev1 { color: #ff9276 !important; } .sev1 i { background: #ff9276 !important; }
  .sev2 { color: #e3b75f !important; } .sev2 i { background: #e3b75f !important; }
  .sev3 { color: #8fbbe6 !important; } .sev3 i { background: #8fbbe6 !important; }
  .sev4 { color: #8f9e99 !important; } .sev4 i { background: #8f9e99 !important; }
  .sev i.off { background: #34413e !important; }
  .note { background: #31260d !important; color: #e3b75f !important; }
}
"""
_SMALL = "margin:0;font-size:13px;line-height:20px;color:#42504c"
_SEVERITIES = {"SEV1": "#b02a10", "SEV2": "#7a4f00", "SEV3": "#2a5a86", "SEV4": "#586661"}
_STATES = {
    "triggered": ("solid", "background:#b02a10;color:#ffffff"),
    "acknowledged": ("held", "background:#f6ead0;color:#7a4f00"),
    "resolved": ("rest", "background:#dcecea;color:#0b6661"),
}


def html(message: Message) -> str:
    """The message as an HTML document that works in mail programs, light and dark. Every text in it is escaped."""
    title = plain(message.title, _TITLE) or "Something is wrong"
    service = plain(message.service, _NAME)
    rows = [
        _row(f'<p class="ink2" style="{_SMALL}">{_e(because(message))}</p>'),
        _row(_chips(message), top=16),
        _row(
            '<h1 class="ink" dir="auto" style="margin:0;font-size:26px;line-height:32px;font-weight:700;color:#15201e">'
            f"{_e(title)}</h1>",
            top=12,
        ),
        _row(
            '<p class="ink2" style="margin:0;font-size:16px;line-height:24px;color:#42504c">'
            f"{_e(since(message))}{f' · {_e(service)}' if service else ''}</p>",
            top=8,
        ),
    ]
    if said := own(message):
        rows[3:] = [_row(_paragraphs(said), top=16)]
        rows[2:3] = [] if uses(message.words.text if message.words else "", "title") else rows[2:3]
    if url := link(message):
        rows.append(_row(_button(url, label(message)), top=24))
    align = "text-align:center;" if url else ""
    following = "" if said else after(message)
    if following:
        look = f"margin:0;{align}font-size:15px;line-height:22px;font-weight:600;color:#15201e"
        rows.append(_row(f'<p class="ink" dir="auto" style="{look}">{_e(following)}</p>', top=12))
    if answerable(message):
        rows.append(_row(f'<p class="ink2" style="{align}{_SMALL}">{_e(CAREFUL)}</p>', top=4 if following else 12))
    if message.lines and not said:
        rows.append(_row(_facts(message), top=24))
    rows += [_row(_listed(heading, lines), top=24) for heading, lines in found(message) if not said]
    if message.possible_duplicate:
        rows.append(
            _row(
                '<p class="note" style="margin:0;padding:12px 16px;border-radius:6px;font-size:15px;line-height:22px;'
                f'background:#f6ead0;color:#7a4f00">{_e(DUPLICATE)}</p>',
                top=24,
            )
        )
    incident = f"Incident #{message.incident} · " if message.incident and message.incidents == 1 else ""
    rows.append(
        _row(
            f'<p class="ink2 line" style="{_SMALL};padding:12px 0 0;border-top:1px solid #d5dcd8">'
            f"{_e(incident)}{_e(clock(message))}</p>",
            top=24,
        )
    )
    return _document(message, rows)


def _document(message: Message, rows: list[str]) -> str:
    """The rows in a frame that mail programs draw; what they show beside the subject is in it, out of sight."""
    preview = " ".join(part for part in (f"{since(message)}.", after(message)) if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{_e(subject(message))}</title><style>{_STYLE}</style></head>\n"
        f'<body class="paper" style="margin:0;padding:0;background:#f3f5f3;font-family:{_SANS}">'
        f'<div style="display:none;max-height:0;overflow:hidden">{_e(preview)}</div>\n'
        '<table class="paper" role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" '
        'style="background:#f3f5f3"><tr><td align="center" style="padding:16px">\n'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" '
        'style="max-width:560px;table-layout:fixed;text-align:left">\n' + "\n".join(rows) + "\n</table>\n"
        "</td></tr></table></body></html>\n"
    )


def _paragraphs(text: str) -> str:
    """A plan's own words: their lines as they were written."""
    look = "margin:0;font-size:16px;line-height:24px;color:#15201e;white-space:pre-wrap"
    return f'<p class="ink" dir="auto" style="{look}">{_e(text)}</p>'


def _row(inside: str, top: int = 0) -> str:
    if not inside:
        return ""
    return f'<tr><td style="padding:{top}px 0 0;overflow-wrap:anywhere">{inside}</td></tr>'


def _chips(message: Message) -> str:
    word = severity(message)
    colour = _SEVERITIES.get(word, "#42504c")
    bars = ""
    if word in _SEVERITIES:
        for number in range(1, 5):
            lit = number <= 5 - int(word[3])
            bars += (
                f'<i class="{"on" if lit else "off"}" style="display:inline-block;width:4px;height:{3 + 3 * number}px;'
                f'margin-right:2px;border-radius:1px;background:{colour if lit else "#d0d8d4"}"></i>'
            )
        bars = f'<span aria-hidden="true">{bars}</span>&nbsp;'
    found = _STATES.get(message.state)
    name, look = found or ("rest", "background:#dcecea;color:#0b6661")
    badge = (
        ""
        if message.kind == "notice" or not message.state
        else f'&nbsp;&nbsp;&nbsp;<span class="{name}" style="display:inline-block;padding:3px 10px;border-radius:12px;'
        f'{look};font-weight:600">{_e(state(message))}</span>'
    )
    if not word and not badge:
        return ""
    css = f"sev {word.lower()}" if word in _SEVERITIES else "ink2"
    return (
        '<p style="margin:0;font-size:13px;line-height:20px">'
        f'<span class="{css}" style="color:{colour};font-weight:700">{bars}{_e(word)}</span>{badge}</p>'
    )


def _button(url: str, label: str) -> str:
    """72 px tall, the whole of it a link; a table cell's colour so that Outlook paints it too."""
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>'
        '<td class="button" align="center" bgcolor="#0b6661" style="border-radius:10px;background:#0b6661">'
        f'<a class="act" href="{_e(url)}" style="display:block;padding:22px 16px;font-size:20px;line-height:28px;'
        f'font-weight:700;color:#ffffff;text-decoration:none">{_e(label)}</a></td></tr></table>'
    )


def _facts(message: Message) -> str:
    rest = f'<p class="ink2" style="{_SMALL}">{_e(more(message))}</p>' if more(message) else ""
    heading = "What fires" if message.state != "resolved" else "What fired"
    return _listed(heading, [plain(line) for line in message.lines[:_LINES]]) + rest


def _listed(heading: str, lines: Sequence[str]) -> str:
    items = "".join(f'<li dir="auto" style="margin:0 0 6px">{_e(line)}</li>' for line in lines)
    return (
        f'<p class="ink2" style="{_SMALL};margin:0 0 8px;font-weight:600">{heading}</p>'
        '<ul class="ink" style="margin:0;padding:0 0 0 20px;font-size:15px;line-height:22px;color:#15201e">'
        f"{items}</ul>"
    )


def _e(text: str) -> str:
    return escape(text, quote=True)
