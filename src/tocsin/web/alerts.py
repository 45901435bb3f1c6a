"""The list of alerts and the page of one: what fires, how often it was heard, and why it pages nobody."""

from __future__ import annotations

from typing import Any, NamedTuple

from litestar import Request, Response, get

from tocsin.alerts.alert import Alert
from tocsin.faces.faces import Faces
from tocsin.faces.who import Who
from tocsin.incidents.incident import Incident
from tocsin.kernel.matcher import Matcher, MatcherError, parse_matcher
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.silences.silence import Silence
from tocsin.store.reads import Reads
from tocsin.web.view import view, with_query
from tocsin.web.words import Reader, because

SHOWN = 50
STATES = ("firing", "resolved", "all")
UNUSED_FOR_SILENCE = ("severity", "monitor", "replica", "prometheus_replica")
"""Labels that say nothing about which condition it is, so a silence made from an alert leaves them out."""


class Row(NamedTuple):
    """One alert of the list."""

    alert: Alert
    why: str


@get("/alerts")
async def alerts_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Alerts, newest first, by what the address chooses. ``match`` holds matchers, or words of titles and labels."""
    asked = request.query_params
    state = asked.get("state", "firing")
    state = state if state in STATES else "firing"
    service, text = asked.get("service", ""), asked.get("match", "").strip()[:1000]
    faults: dict[str, str] = {}
    matchers: tuple[Matcher, ...] = ()
    words = text if not any(sign in text for sign in "=!") else ""
    try:
        matchers = () if words else tuple(parse_matcher(part) for part in split_matchers(text))
    except MatcherError as error:
        faults = {"match": str(error)}
    seen = await view(request, faces, who)
    after = asked.get("after") or None
    found = await faces.read(
        faces.reads.alerts,
        state="" if state == "all" else state,
        service=service,
        matchers=matchers,
        words=words,
        after=after,
        limit=SHOWN,
    )
    incidents = await faces.read(_incidents_of, faces.reads, found.items)
    rows = [Row(alert, _quiet_reason(seen.reader, alert, incidents.get(alert.incident))) for alert in found.items]
    firing = sum(alert.firing for alert in found.items)
    more = found.next is not None or after is not None
    quiet = 0 if more else sum(bool(row.why) and row.alert.firing for row in rows)
    # Of all that fire the core knows how many they are, on whichever page.
    told = await faces.firing() if more and state == "firing" and not (service or text) else None
    if told is not None and told.count:
        firing, more = told.count, False
    return seen.draw(
        "alerts.html",
        code=400 if faults else 200,
        rows=rows,
        incidents=incidents,
        faults=faults,
        chosen={"state": state, "service": service, "match": text},
        tab_links={key: with_query("/alerts", state=key, service=service, match=text) for key in STATES},
        services=sorted({*(seen.plan.services if seen.plan else ()), *((service,) if service else ())}),
        older=with_query("/alerts", state=state, service=service, match=text, after=found.next) if found.next else "",
        newer=with_query("/alerts", state=state, service=service, match=text) if after else "",
        headline=_headline(state, firing, more, bool(service or text), quiet),
        clear=with_query("/alerts", state=state) if service or text else "",
    )


def _headline(state: str, firing: int, more: bool, filtered: bool, quiet: int) -> str:
    if state == "resolved":
        return "Alerts that have ended, newest first."
    if not firing:
        return "No alert matches these filters." if filtered else "Nothing fires."
    many = "More than " if more else ""
    sentence = f"{many}{firing:,} {'alert fires' if firing == 1 and not more else 'alerts fire'}."
    nobody = f" {quiet:,} of them {'pages' if quiet == 1 else 'page'} nobody, for the reason beside it."
    return sentence + nobody * bool(quiet)


def split_matchers(text: str) -> list[str]:
    """Texts of matchers, parted by commas or lines outside quotes; braces around all of them are allowed."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    parts, part, quoted, escaped = [], "", False, False
    for sign in text:
        if sign in ",\n\r" and not quoted:
            parts.append(part)
            part = ""
            continue
        if sign == '"' and not escaped:
            quoted = not quoted
        escaped = sign == "\\" and not escaped
        part += sign
    return [found for found in (one.strip() for one in [*parts, part]) if found]


def _incidents_of(reads: Reads, alerts: list[Alert]) -> dict[int, Incident]:
    found = {number: reads.incident(number) for number in {alert.incident for alert in alerts if alert.incident}}
    return {number: incident for number, incident in found.items() if incident is not None}


@get("/alerts/{number:int}")
async def alert_page(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes]:
    """One alert, with everything that is known of it."""
    seen = await view(request, faces, who)
    alert = await faces.found(f"alert {number}", faces.reads.alert, number)
    incident = await faces.read(faces.reads.incident, alert.incident) if alert.incident else None
    silences = await faces.read(_silences_of, faces.reads, alert)
    telling = _telling(alert)
    kept = "\n".join(str(Matcher(name, "=", value)) for name, value in telling.items())
    return seen.draw(
        "alert.html",
        alert=alert,
        incident=incident,
        silences=silences,
        why=_quiet_reason(seen.reader, alert, incident),
        routed=because(alert.routed),
        silence_link=with_query("/silences/new", matchers=kept) if kept else "",
        by_key=bool(alert.key) and telling.get("key") == alert.key,
        put_off_link=f"/incidents/{incident.number}?moves=open#moves" if incident is not None and incident.open else "",
    )


def _telling(alert: Alert) -> dict[str, str]:
    """What tells an alert from others: the key its source names it by, else its labels, but for those that say nothing.

    Beside a key its labels may be those of many alerts, and others when it comes again.
    """
    if alert.matched.get("key") == alert.key != "":  # a label of its own may have taken the name
        return {name: alert.matched[name] for name in ("key", "service")}
    return {name: alert.labels[name] for name in sorted(alert.labels) if name not in UNUSED_FOR_SILENCE}


def _silences_of(reads: Reads, alert: Alert) -> list[Silence]:
    found = [reads.silence(name) for name in alert.silences]
    return [silence for silence in found if silence is not None]


def _quiet_reason(reader: Reader, alert: Alert, incident: Incident | None) -> str:
    """Why an alert pages nobody at this moment, or "" when it does."""
    if not alert.firing:
        return because(alert.reason)
    if alert.silences:
        return EXPLAINED[Reason.SILENCED]
    if alert.reason is Reason.COUNTS_AS_HEARTBEAT:
        return because(alert.reason)
    if incident is None:
        return because(alert.reason)
    if incident.state == "acknowledged":
        by = reader.who(incident.acknowledged_by)
        return f"{'you have' if by.you else by.name + ' has'} #{incident.number}"
    if incident.state == "resolved":
        return because(incident.reason)
    if incident.paused is not None:
        return EXPLAINED[incident.paused]
    return ""


handlers = [alerts_page, alert_page]
