"""PagerDuty: an incident is triggered, acknowledged and resolved there as it is here (Events API v2).

For a team that moves over gradually: a person of the plan whose address is the integration key of a PagerDuty service,
by reference. The ``dedup_key`` is the incident's for as long as it lives, so PagerDuty keeps one incident for it
however often it pages, and repetitions change nothing. Notices, copies and
drills become change events: they are to be read, and wake nobody. A synthetic page is an incident of a service made for
it, triggered and resolved at once, whose ``dedup_key`` comes back by PagerDuty's webhook. Another webhook, to
``/callbacks/pagerduty``, tells that somebody acknowledged or resolved it there: that is the paged person's answer.
"""

from __future__ import annotations

import re

import msgspec

from tocsin.intake.request import Reply
from tocsin.kernel.instant import Instant, format_rfc3339
from tocsin.kernel.outside import Answer as Answered
from tocsin.notation.decoder import Field
from tocsin.notation.words import SECRET, URL
from tocsin.pages import rendering
from tocsin.pages.answers import Answer, Call, Heard, Taken
from tocsin.pages.channels.pagerduty_back import answer_in, signed
from tocsin.pages.channels.replies import failed
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.loops import FIRST
from tocsin.pages.message import Failed, Message, Sent
from tocsin.pages.profile import Address, Loopback, Paced, Profile, SetUp

SERVER = "https://events.pagerduty.com"
_ACTIONS = {"acknowledged": "acknowledge", "resolved": "resolve"}
_SEVERITIES = {"SEV1": "critical", "SEV2": "error", "SEV3": "warning", "SEV4": "info"}
_READ = 65_536
_SUMMARY = 1_024
_ITS_KEY = re.compile(rb"(?i)routing[ _]key")
"""What PagerDuty says no to the key with, which is the person's address; anything else is about the event."""


class PagerDutyEvents:
    """Posts events, by all keys of the plan. PagerDuty drops a repetition by its ``dedup_key``."""

    name = "pagerduty"
    idempotent = True
    real = True

    def __init__(self, setup: Setup) -> None:
        self._outside, self._secret, self._mark = setup.outside, setup.secret, setup.mark
        said = setup.channels.get("pagerduty", {})
        self._server, self._signing = said.get("server", SERVER).rstrip("/"), said.get("signing secret", "")

    async def send(self, message: Message) -> Sent | Failed:
        """Post one event."""
        try:
            key = self._secret(message.address)
        except (LookupError, OSError, ValueError) as error:
            return no_secret(message.address, error)
        if not message.idempotency_key.startswith(FIRST):
            path, event = written(message, self._mark)
            return await self._post(path, event, key, message.now, DEADLINE)
        for event in looped(message):
            posted = await self._post("/v2/enqueue", event, key, message.now, DEADLINE / 2)
            if isinstance(posted, Failed):
                break  # all of it is said again: a trigger of what is triggered changes nothing
        return posted

    async def _post(self, path: str, event: dict[str, object], key: str, now: Instant, within: float) -> Sent | Failed:
        answer = await self._outside.request(
            "POST",
            self._server + path,
            headers={"content-type": "application/json"},
            content=msgspec.json.encode({**event, "routing_key": key}),
            within=within,
            limit=_READ,
        )
        why = failed(answer, now, "PagerDuty")
        if why is not None and isinstance(answer, Answered) and answer.status == 400 and _ITS_KEY.search(answer.body):
            return msgspec.structs.replace(why, code="address", error=f"{why.error}: it does not know this key")
        return why or Sent(str(event.get("dedup_key", "")))

    def preview(self, message: Message) -> str:
        """The event, without its key."""
        path, event = written(message, self._mark)
        return f"POST {path}\n{msgspec.json.format(msgspec.json.encode(event), indent=2).decode()}"

    def hear(self, call: Call) -> Heard | Reply:
        """That somebody has it, when PagerDuty signed it; nothing where the plan names no signing secret."""
        if not self._signing:
            return Reply(404)
        try:
            secret = self._secret(self._signing)
        except (LookupError, OSError, ValueError):
            return Reply(503)
        if not signed(secret, call.headers, call.body):
            return Reply(401)
        try:
            return Heard(answer=answer_in(call.body, _key(self._mark)))
        except (ValueError, msgspec.MsgspecError):
            return Reply(400)

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """PagerDuty tells it again for anything but a 2xx."""
        return Reply(503 if taken.again else 200)

    def place(self, address: str) -> str:
        """The integration: PagerDuty counts what each of them is sent."""
        return address

    async def close(self) -> None:
        """Nothing is kept open."""


def looped(message: Message) -> tuple[dict[str, object], dict[str, object]]:
    """A synthetic page: an incident of its own by its mark, and its end, so that nobody is left with it.

    The mark is in the summary too: another Tocsin that stands where PagerDuty stood pages with that.
    """
    mark = message.idempotency_key
    summary = f"{rendering.plain(message.title, _SUMMARY)} {mark}"
    payload = {"summary": summary, "source": "tocsin", "severity": "info"}
    return (
        {"event_action": "trigger", "dedup_key": mark, "client": "Tocsin", "payload": payload},
        {"event_action": "resolve", "dedup_key": mark},
    )


def _key(mark: str) -> str:
    """What the ``dedup_key`` of an incident begins with, before its number."""
    return f"tocsin-{mark}-"


def written(message: Message, mark: str) -> tuple[str, dict[str, object]]:
    """The path and the event, without its key. ``mark`` keeps two installations with one key apart."""
    link = rendering.link(message)
    links = [{"href": link, "text": "Open in Tocsin"}] if link else []
    dedup_key = f"{_key(mark)}{message.incident}"
    if message.kind == "update":
        return "/v2/enqueue", {"event_action": _ACTIONS.get(message.state, "acknowledge"), "dedup_key": dedup_key}
    summary = rendering.plain(message.title, _SUMMARY) or "Something is wrong"
    source = rendering.plain(message.service) or "tocsin"
    if message.kind in ("notice", "copy", "drill"):
        when = format_rfc3339(message.now)
        return "/v2/change/enqueue", {
            "payload": {"summary": summary, "source": source, "timestamp": when},
            "links": links,
        }
    details = {
        "since": format_rfc3339(message.since),
        "alerts": message.alerts,
        "firing": [rendering.plain(line) for line in message.lines],
        "already tried": rendering.tried(message),
        "because": rendering.because(message),
        "next": rendering.after(message),
        "possible duplicate": message.possible_duplicate,
    }
    return "/v2/enqueue", {
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "Tocsin",
        "client_url": link,
        "links": links,
        "payload": {
            "summary": summary,
            "source": source,
            "severity": _SEVERITIES.get(rendering.severity(message), "error"),
            "component": source,
            "custom_details": details,
        },
    }


class PagerDuty(Paced):
    """Where PagerDuty's events go."""

    what = "PagerDuty's address"
    server = Field(URL, "Default: https://events.pagerduty.com; in Europe https://events.eu.pagerduty.com.")
    signing_secret = Field(SECRET, "What its webhook to /callbacks/pagerduty signs with, by reference: secret:NAME.")


PROFILE = Profile(
    name="pagerduty",
    called="PagerDuty",
    by="by PagerDuty",
    make=PagerDutyEvents,
    set_up=SetUp(
        "pagerduty", PagerDuty, "Incidents handed to PagerDuty, which follows them until they are over.", needed=False
    ),
    address=Address(SECRET, "A PagerDuty service's integration key (Events API v2), by reference: secret:NAME."),
    loopback=Loopback(
        SECRET, "The key of a service there made for it, by reference; its webhook posts to /loopback."
    ),
    hears_by="signing secret",
    follows=True,
    apart=True,
)
