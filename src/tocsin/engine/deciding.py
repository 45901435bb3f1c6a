"""Commands: what people and scripts ask for, decided. Each returns a Result and changes nothing when it refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from tocsin.access.credentials import Key, Token, User
from tocsin.access.limits import KeyLimits
from tocsin.engine import (
    checking,
    comparing,
    contacting,
    hearing,
    ledger,
    overriding,
    paging,
    responding,
    resuming,
    running,
    settling,
    starting,
    ticking,
    triggering,
)
from tocsin.engine import commands as c
from tocsin.engine.commands import refuse
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.identity import identity, uuid_text
from tocsin.kernel.instant import DAY, MINUTE, Duration, from_datetime
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page
from tocsin.silences.silence import Silence

LONGEST_HOLD: Duration = 7 * DAY
LONGEST_NOTE = 10_000
CARRIED = 120
"""So much of an incident's last note is carried over to who comes on call."""
LAST_INSTANT = from_datetime(datetime(9999, 12, 31, tzinfo=UTC))


def decide(turn: Turn, command: c.AnyCommand) -> c.Result:
    """Decide one command."""
    match command:
        case c.Acknowledge():
            return _acknowledge(turn, command)
        case c.Resolve():
            return _resolve(turn, command)
        case c.AddNote():
            return _note(turn, command)
        case c.SetSilence():
            return _set_silence(turn, command)
        case c.ExpireSilence():
            return _expire_silence(turn, command)
        case c.CreateKey():
            return _create_key(turn, command)
        case c.LimitKey():
            return _limit_key(turn, command)
        case c.RevokeKey():
            return _revoke_key(turn, command)
        case c.DeclareKeys():
            return _declare_keys(turn, command)
        case c.SetUser():
            return _set_user(turn, command)
        case c.CreateToken():
            return _create_token(turn, command)
        case c.UseLink():
            return _use_link(turn, command)
        case c.RevokeToken():
            return _revoke_token(turn, command)
        case c.DiscardParked():
            return _discard_parked(turn, command)
        case c.AddOverride():
            return overriding.add(turn, command)
        case c.AskSwap():
            return overriding.ask_swap(turn, command)
        case c.AskCover():
            return overriding.ask_cover(turn, command)
        case c.AnswerOverride():
            return overriding.answer(turn, command)
        case c.CancelOverride():
            return overriding.cancel(turn, command)
        case c.AddContact():
            return contacting.add(turn, command)
        case c.SendCode():
            return contacting.send_code(turn, command)
        case c.VerifyContact():
            return contacting.verify(turn, command)
        case c.MarkContact():
            return contacting.mark(turn, command)
        case c.RemoveContact():
            return contacting.remove(turn, command)
        case c.TryContact():
            return contacting.test(turn, command)
        case c.SetReach():
            return contacting.set_reach(turn, command)
        case c.StartDrill():
            return contacting.start_drill(turn, command)
        case c.AnswerDrill():
            return contacting.answer_drill(turn, command)
        case c.StartRun():
            return starting.start(turn, command)
        case c.PullTrigger():
            return triggering.pull(turn, command)
        case c.AnswerRun():
            return running.answer(turn, command)
        case c.ResumeRun():
            return resuming.resume(turn, command)
        case c.CompareRun():
            return comparing.compare(turn, command)
        case c.TakeOverRun():
            return resuming.take_over(turn, command)
        case c.GiveBackRun():
            return resuming.give_back(turn, command)
        case c.CancelRun():
            return running.cancel(turn, command)
        case c.SetTrust():
            return starting.set_trust(turn, command)
        case c.Reassign() | c.Snooze() | c.AddResponders() | c.ApplyPlan() | c.TickStep() | c.UntickStep():
            return _respond(turn, command)


# -- incidents ---------------------------------------------------------------------------------------------------------


def _incident(turn: Turn, number: int) -> Incident | c.Result:
    incident = turn.state.incidents.get(number)
    if incident is not None:
        return incident
    if 0 < number <= turn.state.counters.incident:
        return refuse("conflict", f"Incident #{number} is over and closed")
    return refuse("not_found", f"There is no incident #{number}")


def _respond(
    turn: Turn, command: c.Reassign | c.Snooze | c.AddResponders | c.ApplyPlan | c.TickStep | c.UntickStep
) -> c.Result:
    incident = _incident(turn, command.incident)
    if isinstance(incident, c.Result):
        return incident
    match command:
        case c.Reassign():
            return responding.reassign(turn, incident, command)
        case c.Snooze():
            return responding.snooze(turn, incident, command)
        case c.AddResponders():
            return responding.add_responders(turn, incident, command)
        case c.ApplyPlan():
            return responding.apply_plan(turn, incident, command)
        case c.TickStep():
            return checking.tick(turn, incident, command)
        case c.UntickStep():
            return checking.untick(turn, incident, command)


def _acknowledge(turn: Turn, command: c.Acknowledge) -> c.Result:
    page = turn.state.pages.get(command.page)
    incident = _incident(turn, command.incident or (page.incident if page is not None else 0))
    if isinstance(incident, c.Result):
        return incident
    if command.hold is not None and not MINUTE <= command.hold <= LONGEST_HOLD:
        return refuse("invalid", "An acknowledgement holds from one minute to seven days", "hold")
    if command.page and (page is None or page.incident != incident.number):
        return refuse("not_found", f"There is no page {command.page} of incident #{incident.number}")
    if not incident.open:
        return refuse("conflict", f"Incident #{incident.number} is resolved already")
    if page is not None:
        ledger.answered(turn, page)
    actor = command.actor or (f"person:{page.person}" if page is not None else "")
    if page is not None and page.kind == "help" and incident.state == "acknowledged":
        return _comes_to_help(turn, incident, page, actor)
    together = _together(turn, page) if page is not None else []
    reason, *_ = [settling.answer(turn, one, actor, command.hold) for one in (incident, *together)]
    said = incident.noted if reason is Reason.ANSWERED else ""
    return c.Result(ok=True, reason=reason, id=str(incident.number), message=said)


def _comes_to_help(turn: Turn, incident: Incident, page: Page, actor: str) -> c.Result:
    """Whoever was asked for help says that they come. Who has the incident still has it."""
    paging.withdraw(turn, incident, person=page.person, kinds=("help",))
    turn.enter(incident.number, "Comes to help", Reason.ANSWERED, actor)
    turn.save_incident(incident)
    said = f"You come to help with incident #{incident.number}"
    return c.Result(ok=True, reason=Reason.ANSWERED, id=str(incident.number), message=said)


def _together(turn: Turn, page: Page) -> list[Incident]:
    """The other incidents that came in the same message as a page and wait for an answer: one answer is for all."""
    first = turn.state.pages.get(page.bundle)
    rows = [turn.state.pages[id] for id in first.bundled if id in turn.state.pages] if first else []
    found: list[Incident] = []
    for row in rows:
        incident = turn.state.incidents.get(row.incident)
        if row is page or incident is None or incident.state != "triggered":
            continue
        ledger.answered(turn, row)
        found.append(incident)
    return found


def _resolve(turn: Turn, command: c.Resolve) -> c.Result:
    incident = _incident(turn, command.incident)
    if isinstance(incident, c.Result):
        return incident
    if command.snooze is not None and not MINUTE <= command.snooze <= LONGEST_HOLD:
        return refuse("invalid", "A snooze lasts from one minute to seven days", "snooze")
    if not incident.open:
        return refuse("conflict", f"Incident #{incident.number} is resolved already")
    members = turn.members(incident)
    for id in sorted(members.firing):
        alert = turn.state.alerts[id]
        if alert.source == hearing.OWN:
            hearing.resolve(turn, alert, Reason.BY_HAND)
    if members.firing:
        snooze = command.snooze if command.snooze is not None else settling.DEFAULT_SNOOZE
        settling.resolve(turn, incident, command.actor, Reason.BY_HAND, snooze)
        return c.Result(ok=True, reason=Reason.SNOOZED, id=str(incident.number))
    settling.resolve(turn, incident, command.actor, Reason.BY_HAND)
    return c.Result(ok=True, reason=Reason.BY_HAND, id=str(incident.number))


def _note(turn: Turn, command: c.AddNote) -> c.Result:
    text = command.text.strip()
    if not text or len(text) > LONGEST_NOTE:
        return refuse("invalid", f"A note has 1 to {LONGEST_NOTE:,} characters", "text")
    if not 0 < command.incident <= turn.state.counters.incident:
        return refuse("not_found", f"There is no incident #{command.incident}")
    turn.enter(command.incident, text, Reason.NOTE, command.actor)
    incident = turn.state.incidents.get(command.incident)
    if incident is not None:
        incident.note = " ".join(text.split())[:CARRIED]
        turn.save_incident(incident)
    return c.Result(ok=True, reason=Reason.NOTE, id=str(turn.state.counters.entry))


# -- silences ----------------------------------------------------------------------------------------------------------


def _set_silence(turn: Turn, command: c.SetSilence) -> c.Result:
    now, state = turn.now, turn.state
    if not command.matchers:
        return refuse("invalid", "A silence needs at least one matcher", "matchers")
    # As in Alertmanager a negative matcher always counts as one that says something.
    if all(m.operator in ("=", "=~") and m.matches({}) for m in command.matchers):
        return refuse(
            "invalid",
            "At least one matcher must not match the empty string, or it would silence everything",
            "matchers",
        )
    if command.ends_at <= command.starts_at:
        return refuse("invalid", "A silence must end after it begins", "ends_at")
    if command.ends_at <= now:
        return refuse("invalid", "A silence cannot end in the past", "ends_at")
    if command.ends_at > LAST_INSTANT:
        return refuse("invalid", "A silence must end before the year 10000", "ends_at")
    if not command.comment.strip():
        return refuse("invalid", "A silence needs a comment: why", "comment")
    if not command.author.strip():
        return refuse("invalid", "A silence needs an author", "author")
    starts = max(command.starts_at, now)
    old = state.silences.get(command.id) if command.id else None
    if command.id and (old is None or (command.origin and old.origin != command.origin)):
        return refuse("not_found", f"There is no silence {command.id} that could be changed")
    if old is not None:
        # What it has kept quiet stays true: another beginning only for one that is to come, and only to come.
        # Matchers are compared in their order, as Alertmanager does.
        match old.state(now):
            case "pending":
                in_place = command.starts_at >= now
            case "active":
                in_place = command.starts_at == old.starts_at
            case "expired":
                in_place = False
        if in_place and old.matchers == command.matchers:
            old.comment, old.author, old.ends_at, old.updated_at = command.comment, command.author, command.ends_at, now
            old.starts_at = command.starts_at
            old.reminded = False
            return _silence_changed(turn, old, Reason.SILENCE_CHANGED)
        if old.state(now) == "expired":
            ticking.close(turn, old)
        else:
            _end(turn, old)
    silence = Silence(
        id=uuid_text(identity("silence", str(turn.seq))),
        matchers=command.matchers,
        author=command.author,
        comment=command.comment,
        starts_at=starts,
        ends_at=command.ends_at,
        created_at=now,
        updated_at=now,
        origin=command.origin,
    )
    state.silences[silence.id] = silence
    return _silence_changed(turn, silence, Reason.SILENCE_CREATED)


def _silence_changed(turn: Turn, silence: Silence, reason: Reason) -> c.Result:
    turn.changes.silences[silence.id] = silence
    silence.begun = silence.state(turn.now) == "active"
    turn.state.timers.set("silence", silence.id, silence.due())
    turn.count("silences", reason)
    ticking.rejudge(turn, silence.id)
    return c.Result(ok=True, reason=reason, id=silence.id)


def _end(turn: Turn, silence: Silence) -> None:
    silence.starts_at = min(silence.starts_at, turn.now)
    silence.ends_at = silence.updated_at = turn.now
    silence.closed = True
    del turn.state.silences[silence.id]
    turn.changes.silences[silence.id] = silence


def _expire_silence(turn: Turn, command: c.ExpireSilence) -> c.Result:
    silence = turn.state.silences.get(command.id)
    if silence is None or (command.origin and silence.origin != command.origin):
        return refuse("not_found", f"There is no silence {command.id} in force")
    _end(turn, silence)
    ticking.rejudge(turn)
    turn.count("silences", Reason.SILENCE_ENDED)
    return c.Result(ok=True, reason=Reason.SILENCE_ENDED, id=silence.id)


# -- access ------------------------------------------------------------------------------------------------------------


def _create_key(turn: Turn, command: c.CreateKey) -> c.Result:
    state = turn.state
    doors = sorted(name for name, source in turn.sources.items() if source.door)
    if command.source not in doors:
        return refuse("invalid", f"{command.source!r} is not a source; there are {', '.join(doors)}", "source")
    if command.service not in turn.plan.services:
        return refuse("invalid", f"The plan has no service {command.service!r}", "service")
    if command.source == "heartbeat" or command.heartbeat:
        names = [spec.name for spec in turn.plan.heartbeats if spec.service == command.service and not spec.alert]
        name = command.heartbeat or (names[0] if len(names) == 1 else "")
        if name not in names:
            there = f"it has {', '.join(names)}" if names else "it has none: add one under its heartbeats"
            what = f"no heartbeat {name!r} in the plan" if name else "not just one heartbeat in the plan"
            return refuse("invalid", f"{command.service} has {what}; {there}", "heartbeat")
        command = msgspec.structs.replace(command, heartbeat=name)
    fault = command.limits.fault()
    if fault is not None:
        return refuse("invalid", _sentence(fault[1]), f"limits.{fault[0]}")
    if command.hash in state.keys_by_hash:
        return refuse("conflict", "This key exists already", "hash")
    return c.Result(ok=True, id=str(_add_key(turn, command, declared=False).id))


def _add_key(turn: Turn, command: c.CreateKey, declared: bool) -> Key:
    state = turn.state
    state.counters.key += 1
    key = Key(
        id=state.counters.key,
        hash=command.hash,
        hint=command.hint,
        source=command.source,
        service=command.service,
        name=command.name,
        heartbeat=command.heartbeat,
        declared=declared,
        created_at=turn.now,
        created_by=command.actor,
        limits=command.limits,
    )
    state.keys[key.id] = state.keys_by_hash[key.hash] = turn.changes.keys[key.id] = key
    return key


def _limit_key(turn: Turn, command: c.LimitKey) -> c.Result:
    key = turn.state.keys.get(command.id)
    if key is None or key.revoked_at is not None:
        return refuse("not_found", f"There is no key {command.id} in use")
    if key.declared:
        return refuse("conflict", f"The plan declares key {command.id}: its limits are set there")
    fault = command.limits.fault()
    if fault is not None:
        return refuse("invalid", _sentence(fault[1]), f"limits.{fault[0]}")
    key.limits = command.limits
    turn.changes.keys[key.id] = key
    return c.Result(ok=True, id=str(key.id))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _revoke_key(turn: Turn, command: c.RevokeKey) -> c.Result:
    key = turn.state.keys.get(command.id)
    if key is None or key.revoked_at is not None:
        return refuse("not_found", f"There is no key {command.id} in use")
    key.revoked_at = turn.now
    turn.changes.keys[key.id] = key
    return c.Result(ok=True, id=str(key.id))


def _declare_keys(turn: Turn, command: c.DeclareKeys) -> c.Result:
    wanted = {hash: (hint, source, service, name) for hash, hint, source, service, name in command.keys}
    for key in turn.state.keys.values():
        told = (key.hint, key.source, key.service, key.name)
        if key.declared and key.revoked_at is None and wanted.get(key.hash) != told:
            key.revoked_at = turn.now
            turn.changes.keys[key.id] = key
    for hash, (hint, source, service, name) in wanted.items():
        known = turn.state.keys_by_hash.get(hash)
        if known is None:
            heartbeat = name if source == "heartbeat" else ""
            new = c.CreateKey(hash=hash, hint=hint, source=source, service=service, name=name, heartbeat=heartbeat)
            known = _add_key(turn, new, declared=True)
        elif known.revoked_at is not None or (known.source, known.service) != (source, service):
            known.revoked_at, known.declared = None, True
            known.source, known.service, known.name = source, service, name
            turn.changes.keys[known.id] = known
        limits = command.limits.get(hash, KeyLimits())
        if known.declared and known.limits != limits:
            known.limits = limits
            turn.changes.keys[known.id] = known
    return c.Result(ok=True)


def _set_user(turn: Turn, command: c.SetUser) -> c.Result:
    state = turn.state
    name = command.name.strip()
    if not name or len(name) > 100 or any(ord(ch) < 32 for ch in name):
        return refuse("invalid", "A user's name has 1 to 100 printable characters", "name")
    if command.person and command.person not in turn.plan.people:
        return refuse("invalid", f"The plan has no person {command.person!r}", "person")
    user = state.users_by_name.get(name)
    if user is not None and command.new:
        return refuse("conflict", f"There is a user {name!r} already", "name")
    if user is None:
        if command.role is None:
            return refuse("not_found", f"There is no user {name!r}")
        state.counters.user += 1
        user = User(id=state.counters.user, name=name, role=command.role, created_at=turn.now)
        state.users[user.id] = state.users_by_name[name] = user
    last_admin = (
        user.role == "admin"
        and user.disabled_at is None
        and not any(u.role == "admin" and u.disabled_at is None and u is not user for u in state.users.values())
    )
    if last_admin and (command.disabled or (command.role is not None and command.role != "admin")):
        return refuse("conflict", f"{name} is the last admin", "role")
    if command.role is not None:
        user.role = command.role
    if command.person is not None:
        user.person = command.person
    if command.password is not None:
        user.password = command.password
    if command.disabled is not None:
        user.disabled_at = turn.now if command.disabled else None
        others = (one for one in state.users.values() if one is not user and one.disabled_at is None)
        if command.disabled and user.person and not any(one.person == user.person for one in others):
            contacting.drop_devices(turn, user.person)
    if command.sign_out or command.disabled or command.password is not None:
        user.epoch += 1
    turn.changes.users[user.id] = user
    return c.Result(ok=True, id=name)


def _create_token(turn: Turn, command: c.CreateToken) -> c.Result:
    state = turn.state
    user = state.users_by_name.get(command.user)
    if user is None or user.disabled_at is not None:
        return refuse("not_found", f"There is no user {command.user!r}")
    if command.kind not in ("token", "link", "feed"):
        return refuse("invalid", "A token's kind is token, link or feed", "kind")
    if command.expires_at is not None and command.expires_at <= turn.now:
        return refuse("invalid", "It would have expired already", "expires_at")
    if command.hash in state.tokens_by_hash:
        return refuse("conflict", "This token exists already")
    state.counters.token += 1
    token = Token(
        id=state.counters.token,
        hash=command.hash,
        kind=command.kind,  # type: ignore[arg-type]  # one of the three, as was asked above
        user=user.id,
        name=command.name,
        created_at=turn.now,
        expires_at=command.expires_at,
    )
    state.tokens[token.id] = state.tokens_by_hash[token.hash] = turn.changes.tokens[token.id] = token
    return c.Result(ok=True, id=str(token.id))


def _use_link(turn: Turn, command: c.UseLink) -> c.Result:
    token = turn.state.tokens_by_hash.get(command.hash)
    user = turn.state.users.get(token.user) if token else None
    if token is None or user is None or token.kind != "link" or user.disabled_at is not None:
        return refuse("not_found", "This sign-in link is not known")
    if token.used_at is not None or token.revoked_at is not None:
        return refuse("conflict", "This sign-in link was used already")
    if token.expires_at is not None and token.expires_at <= turn.now:
        return refuse("conflict", "This sign-in link has expired")
    token.used_at = turn.now
    turn.changes.tokens[token.id] = token
    return c.Result(ok=True, id=user.name)


def _revoke_token(turn: Turn, command: c.RevokeToken) -> c.Result:
    token = turn.state.tokens.get(command.id)
    if token is None or token.revoked_at is not None:
        return refuse("not_found", f"There is no token {command.id} in use")
    token.revoked_at = turn.now
    turn.changes.tokens[token.id] = token
    return c.Result(ok=True, id=str(token.id))


def _discard_parked(turn: Turn, command: c.DiscardParked) -> c.Result:
    parked = turn.state.parked.pop(command.id, None)
    if parked is None:
        return refuse("not_found", f"There is no parked request {command.id}")
    parked.discarded = True
    turn.changes.parked[parked.id] = parked
    return c.Result(ok=True, id=str(parked.id))
