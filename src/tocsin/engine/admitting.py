"""Who may: keys that monitors send with, users, and the tokens and links they come by."""

from __future__ import annotations

import msgspec

from tocsin.access.credentials import Key, Token, User
from tocsin.access.limits import KeyLimits
from tocsin.engine import commands as c
from tocsin.engine import contacting, watching
from tocsin.engine.commands import refuse
from tocsin.engine.turn import Turn


def create_key(turn: Turn, command: c.CreateKey) -> c.Result:
    """Take a new key, by the hash of its secret."""
    state = turn.state
    doors = sorted(name for name, source in turn.sources.items() if source.entrance is not None)
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


def limit_key(turn: Turn, command: c.LimitKey) -> c.Result:
    """Change how much a key may send."""
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


def revoke_key(turn: Turn, command: c.RevokeKey) -> c.Result:
    """End a key."""
    key = turn.state.keys.get(command.id)
    if key is None or key.revoked_at is not None:
        return refuse("not_found", f"There is no key {command.id} in use")
    key.revoked_at = turn.now
    turn.changes.keys[key.id] = key
    return c.Result(ok=True, id=str(key.id))


def declare_keys(turn: Turn, command: c.DeclareKeys) -> c.Result:
    """The keys a plan declares are those in use of the declared ones from now on."""
    wanted = {hash: (hint, source, service, name) for hash, hint, source, service, name in command.keys}
    for key in turn.state.keys.values():
        if (key.source, key.service, key.name) in command.kept or (key.secret and key.secret in command.away):
            continue
        told = (key.hint, key.source, key.service, key.name)
        if key.declared and key.revoked_at is None and wanted.get(key.hash) != told:
            key.revoked_at = turn.now
            turn.changes.keys[key.id] = key
    for hash, (hint, source, service, name) in wanted.items():
        known = turn.state.keys_by_hash.get(hash)
        heartbeat = name if source == "heartbeat" else ""  # a declared key of a heartbeat is called as that is
        if known is None:
            new = c.CreateKey(hash=hash, hint=hint, source=source, service=service, name=name, heartbeat=heartbeat)
            known = _add_key(turn, new, declared=True)
        elif (
            known.revoked_at is not None
            or (known.source, known.service) != (source, service)
            or (known.declared and known.heartbeat != heartbeat)
        ):
            was = known.service, known.heartbeat
            known.revoked_at, known.declared = None, True
            known.source, known.service, known.name, known.heartbeat = source, service, name, heartbeat
            turn.changes.keys[known.id] = known
            if heartbeat and was != (service, heartbeat):
                watching.renamed(turn, was, (service, heartbeat))
        limits, secret = command.limits.get(hash, KeyLimits()), command.secrets.get(hash, "")
        if known.declared and (known.limits, known.secret) != (limits, secret):
            known.limits, known.secret = limits, secret
            turn.changes.keys[known.id] = known
    return c.Result(ok=True)


def set_user(turn: Turn, command: c.SetUser) -> c.Result:
    """Make a user, or change one. The last admin stays."""
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
        user = User(id=state.counters.user + 1, name=name, role=command.role, created_at=turn.now)
    last_admin = (
        user.role == "admin"
        and user.disabled_at is None
        and not any(u.role == "admin" and u.disabled_at is None and u is not user for u in state.users.values())
    )
    if last_admin and (command.disabled or (command.role is not None and command.role != "admin")):
        return refuse("conflict", f"{name} is the last admin", "role")
    if user.id not in state.users:  # nothing refuses any more
        state.counters.user = user.id
        state.users[user.id] = state.users_by_name[name] = user
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


def create_token(turn: Turn, command: c.CreateToken) -> c.Result:
    """Take a new token, sign-in link or feed, by the hash of its secret."""
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


def use_link(turn: Turn, command: c.UseLink) -> c.Result:
    """Sign in by a link, once."""
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


def revoke_token(turn: Turn, command: c.RevokeToken) -> c.Result:
    """End a token or link."""
    token = turn.state.tokens.get(command.id)
    if token is None or token.revoked_at is not None:
        return refuse("not_found", f"There is no token {command.id} in use")
    token.revoked_at = turn.now
    turn.changes.tokens[token.id] = token
    return c.Result(ok=True, id=str(token.id))
