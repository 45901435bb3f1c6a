"""What every page is drawn with: who looks, the plan, how the core is; and the drawing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from litestar.response import Redirect
from msgspec import Struct

from tocsin.faces.core import CoreGone
from tocsin.faces.faces import Faces
from tocsin.faces.sessions import derived_secret, fresh_secret
from tocsin.faces.who import Who
from tocsin.kernel.instant import Instant
from tocsin.oncall.imported import Imported
from tocsin.pages.profiles import CONSOLE, profile
from tocsin.plan.model import Covers, Plan
from tocsin.plan.turns import NOBODY, Turns
from tocsin.runtime.line import Status
from tocsin.web import words
from tocsin.web.files import address
from tocsin.web.words import Reader

Theme = Literal["system", "light", "dark"]
AnyRequest = Request[Any, Any, Any]

FRAGMENT_HEADER = "x-tocsin-live"
"""A request of our own script for the middle of a page, to take the parts from that have changed."""
PREFERENCES = "tocsin-preferences"
YEAR = 365 * 24 * 3600
STATUS_WITHIN = 2.0
"""Seconds a page waits for the core to say how it is before it is drawn without."""

SAID = {
    "acknowledged": "You have it. Nobody else is paged while you do.",
    "partly": "Noted. More people are asked for, so the others are still paged.",
    "resolved": "Resolved.",
    "noted": "Your note is on the timeline.",
    "silenced": "The silence is in force as written below.",
    "expired": "The silence has ended. What still fires was judged again.",
    "limited": "The key may send as much as was set, from now on.",
    "revoked": "The key is revoked. Whoever still uses it is refused.",
    "sent": "The test event was heard. Its incident is in the list.",
    "discarded": "The request is discarded.",
    "user": "The user is saved.",
    "kept": "Kept.",
    "device": "Your pages are shown on this device from now on.",
    "password": "The password is changed. Other browsers are signed out.",
    "code": "A code is on its way there. Type it in below.",
    "added": "The contact method is added. Too many codes were sent lately: ask for one later.",
    "proven": "The contact method is verified. Pages use it from now on.",
    "tested": "A test is on its way.",
    "failing": "Pages use the other methods until a code proves this one again.",
    "remove": "The contact method is removed.",
    "rules": "The rules are kept.",
    "drill": "The page is on its way. Answer it as you would at night.",
    "given": "It was given away, and the page is on its way.",
    "put-off": "It is put off. Paging begins again then.",
    "asked": "They are being asked for help.",
    "applied": "The plan now in force applies to it.",
    "reloaded": "The plan was read again and is in force.",
    "overridden": "It counts. Those concerned are told.",
    "wished": "It is asked. Those concerned are told, and it counts when somebody says yes.",
    "overridden-same": "It counts, and changes nothing: the same people are on call then.",
    "overridden-unasked": "It counts, but no service pages by this schedule: nobody is called for it.",
    "overridden-mute": "It counts, but whoever is on call then can be reached by nothing: a contact method is missing.",
    "wished-same": "It is asked, but would change nothing: the same people are on call then.",
    "wished-unasked": "It is asked, but no service pages by this schedule: nobody is called for it.",
    "wished-mute": "It is asked, but whoever is on call then can be reached by nothing: a contact method is missing.",
    "accepted": "It counts. Those concerned are told.",
    "declined": "Declined. The plan's layers count.",
    "taken-back": "Taken back. The plan's layers count again.",
    "feed-revoked": "The calendar's address is useless now.",
    "answered": "It is told, and goes on as you said.",
    "stopped": "It stops before it changes anything more.",
    "continued": "It goes on as a new run.",
    "repeated": "It is repeated, as a new run.",
    "taken": "You work on it by hand: code changes nothing there meanwhile.",
    "given-back": "Code may work on it again.",
    "compared": "Thank you: that counts for what the playbook is trusted with.",
    "unsaid": "It is taken back, and counts no more.",
    "runs": "The playbook runs.",
    "trusted": "It is trusted with that from now on.",
    "ticked": "Ticked, with your name.",
    "unticked": "It is open again.",
    "unchanged": "The plan was read again. Nothing in it has changed.",
}
"""What a page says after something was done, by the word in its address: only these texts can appear."""


class Preferences(Struct, frozen=True):
    """What one browser keeps for its reader."""

    theme: Theme = "system"
    single_keys: bool = True
    absolute: bool = False

    def written(self) -> str:
        """As the cookie's value."""
        return urlencode(
            {
                "theme": self.theme,
                "keys": "on" if self.single_keys else "off",
                "times": "absolute" if self.absolute else "relative",
            }
        )


def preferences(request: AnyRequest) -> Preferences:
    """What this browser keeps; anything unreadable counts as not chosen."""
    kept = dict(part.partition("=")[::2] for part in request.cookies.get(PREFERENCES, "").split("&"))
    theme = kept.get("theme", "")
    return Preferences(
        "light" if theme == "light" else "dark" if theme == "dark" else "system",
        kept.get("keys") != "off",
        kept.get("times") == "absolute",
    )


def keep(response: Response[Any], chosen: Preferences, secure: bool) -> None:
    """Have the browser keep preferences for a year."""
    response.set_cookie(
        PREFERENCES, chosen.written(), path="/", max_age=YEAR, httponly=True, samesite="lax", secure=secure
    )


def zone_named(name: str) -> ZoneInfo | None:
    """A zone, or None for one that does not exist."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_of(plan: Plan | None, person: str) -> ZoneInfo:
    """The zone a person reads times in: their own, else the plan's, else UTC."""
    return (zone_named(plan.zone_of(person)) if plan is not None else None) or ZoneInfo("UTC")


def environment() -> Environment:
    """The templates: escaped always, and an unknown name is a fault rather than an empty place."""
    made = Environment(
        loader=PackageLoader("tocsin.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        static=address,
        because=words.because,
        count=words.count,
        sentence=words.sentence,
        span=words.span,
        spelled=words.spelled,
        listed=words.listed,
        initials=words.initials,
        written=words.written,
        quoted=lambda text: quote(text, safe=""),
        states=words.STATES,
        severity_words=words.SEVERITY_WORDS,
        profile=profile,
        held_words=words.HELD,
    )
    return made


templates = environment()


class View:
    """One page being drawn for one request."""

    def __init__(
        self,
        request: AnyRequest,
        faces: Faces,
        who: Who,
        plan: Plan | None,
        status: Status | None,
        covers: Covers | None = None,
        delivered: bool = False,
        turns: Turns = NOBODY,
        calendars: Mapping[str, Imported] | None = None,
    ) -> None:
        self.request = request
        self.faces = faces
        self.who = who
        self.plan = plan
        self.status = status
        self.delivered = delivered
        """Whether a real channel took a page of late; asked only while none has been answered."""
        self.chosen = preferences(request)
        self.now: Instant = faces.now()
        person = who.user.person if who.user else ""
        self.reader = Reader(
            self.now,
            zone_of(plan, person),
            plan,
            person=person,
            user=who.user.name if who.user else "",
            absolute=self.chosen.absolute,
            covers=covers,
            turns=turns,
            paging=self.paging,
            calendars=calendars,
        )

    @property
    def paging(self) -> bool:
        """Whether anyone is paged at all."""
        return self.status.paging if self.status is not None else self.faces.settings.paging

    @property
    def only_console(self) -> bool:
        """Whether no real channel has delivered an answered page yet, or nobody has one now. False while the core does
        not say.
        """
        one = self.status
        return one is not None and one.ready and (one.real_channel_proven_at is None or one.console_only)

    def draw(
        self,
        template: str,
        *,
        code: int = 200,
        headers: Mapping[str, str] | None = None,
        theme: str = "",
        at: str = "",
        **what: Any,
    ) -> Response[bytes]:
        """The page. A request of our own script gets the middle of it alone.

        ``at``: where it is when it answers a form of another page; without it, where the form was sent from.
        """
        own = (at or came_from(self.request)) if self.request.method == "POST" else ""
        chosen = theme or ("" if self.chosen.theme == "system" else self.chosen.theme)
        done = SAID.get(self.request.query_params.get("done", ""), "")
        text = templates.get_template(template).render(
            view=self,
            reader=self.reader,
            who=self.who,
            plan=self.plan,
            status=self.status,
            now=self.now,
            theme=chosen,
            done=done,
            once=fresh_secret(),
            fragment=FRAGMENT_HEADER in self.request.headers,
            path=own or self.request.scope["path"],
            answers_at=own,
            **what,
        )
        return Response(
            text.encode(), status_code=code, media_type="text/html", headers=dict(headers or {})
        )


async def view(request: AnyRequest, faces: Faces, who: Who) -> View:
    """Find out what every page needs. A core that is gone does not keep the page from being drawn."""
    plan, status = await faces.plan(), await status_of(faces)
    covers = await faces.covers() if plan is not None and plan.schedules else {}
    delivered = False
    if status is not None and status.real_channel_proven_at is None:
        sent = await faces.read(faces.reads.pages, state="sent", limit=20)
        delivered = any(page.channel != CONSOLE and page.kind != "synthetic" for page in sent.items)
    turns, calendars = await faces.turns(covers), await faces.calendars()
    return View(request, faces, who, plan, status, covers, delivered, turns, calendars)


async def status_of(faces: Faces) -> Status | None:
    """How the core is, None when it does not say in time."""
    try:
        return await asyncio.wait_for(faces.core.status(), STATUS_WITHIN)
    except (CoreGone, TimeoutError):
        return None


def leads_to(path: str, done: str = "") -> Redirect:
    """Go on to a page of ours after something was done, with the word of what was."""
    if done:
        path += ("&" if "?" in path else "?") + urlencode({"done": done})
    return Redirect(path, status_code=303)


def own_path(given: str, otherwise: str = "/") -> str:
    """A path on this server, never an address elsewhere."""
    plain = (
        given.startswith("/")
        and not given.startswith(("//", "/\\"))
        and given.isprintable()
        and "\\" not in given
        and len(given) < 500
    )
    return given if plain else otherwise


def came_from(request: AnyRequest) -> str:
    """The page of ours that a request was made on; "" when it was on none."""
    there = urlsplit(request.headers.get("referer", ""))
    path = there.path + (f"?{there.query}" if there.query else "")
    return own_path(path, "") if there.netloc == request.headers.get("host") else ""


async def fields(request: AnyRequest) -> dict[str, str]:
    """A form's texts by name, trimmed; the last of equals, files left out."""
    return {name: value.strip() for name, value in (await request.form()).items() if isinstance(value, str)}


def once(form: Mapping[str, str]) -> str:
    """The idempotency key of a form that was filled in once: sent again as it was, by a reload or a second press, it
    does nothing twice. "" for a form without the mark.
    """
    mark = form.get("once", "")
    if not 16 <= len(mark) <= 64:
        return ""
    told = "\0".join(f"{name}\0{form[name]}" for name in sorted(form) if name != "csrf")
    return f"form {blake2b(told.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def form_secret(seen: View, purpose: str, idempotency_key: str) -> str:
    """A random secret; for a form that may be sent again, the same one again, so that the answer is the same."""
    if not idempotency_key:
        return fresh_secret()
    return derived_secret(seen.faces.signing_key, f"form {purpose}", seen.who.actor, idempotency_key)


def with_query(path: str, **query: str | None) -> str:
    """A path with those parameters that say something."""
    said = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{said}" if said else path
