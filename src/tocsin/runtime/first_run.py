"""What a newcomer needs in the first minute: an admin, a way to sign in, a token for this machine, a key to paste."""

from __future__ import annotations

import os
import secrets
import string
from pathlib import Path

from tocsin.access.actors import THIS_MACHINE
from tocsin.access.credentials import secret_hash
from tocsin.catalog.services import INBOX
from tocsin.engine.commands import CreateKey, CreateToken, SetUser
from tocsin.engine.state import State
from tocsin.kernel.instant import HOUR, Instant
from tocsin.plan.model import Plan
from tocsin.runtime.core import Core

LETTERS = string.ascii_letters + string.digits
ACTOR = "code"
LINK_WORKS = HOUR


def random_key() -> str:
    """Thirty-two letters and digits: 190 bits, and the shape PagerDuty's clients expect."""
    return "".join(secrets.choice(LETTERS) for _ in range(32))


async def first_run(core: Core, plan: Plan, data: Path, base: str, now: Instant, link_wanted: bool) -> list[str]:
    """Make sure that somebody can get in; returns what to print.

    The token file is written anew when its token is not known any more. A sign-in link is made when nobody has ever
    signed in, or when it is ``link_wanted``: it is shown once, works once, and never reaches a log kept for longer.
    """
    state = core.writer.engine.state
    name = await _admin(core, state, plan)
    await _machine_token(core, state, data, name)
    lines = [f"Tocsin listens on {base}"]
    if not any(token.kind == "link" and token.used_at for token in state.tokens.values()) or link_wanted:
        link = secrets.token_urlsafe(24)
        hashed, ends = secret_hash(link), now + LINK_WORKS
        await core.submit(
            CreateToken(actor=ACTOR, hash=hashed, kind="link", user=name, name="printed at start", expires_at=ends)
        )
        lines += ["", "Sign in once with this link (it works for an hour):", f"  {base}/sign-in/link/{link}"]
        lines += _as_whom(state, name)
    if not state.keys:
        key = random_key()
        hashed = secret_hash(key)
        await core.submit(
            CreateKey(actor=ACTOR, hash=hashed, hint=key[-4:], source="alertmanager", service=INBOX, name="prometheus")
        )
        lines += ["", "Paste this into prometheus.yml (the key is shown only now):", "", *alerting_block(base, key)]
    return lines


def leave_address(data: Path, local_url: str, certificate: Path | None) -> None:
    """Write down where this machine's command line finds the server, and which certificate to believe there."""
    (data / "address").write_text(local_url + "\n", encoding="utf-8")
    copy = data / "certificate.pem"
    if certificate is not None:
        copy.write_bytes(certificate.read_bytes())
    else:
        copy.unlink(missing_ok=True)


def alerting_block(base: str, key: str) -> list[str]:
    """The ``alerting:`` block that makes Prometheus send its alerts here."""
    scheme, _, place = base.partition("://")
    host, _, prefix = place.partition("/")
    return [
        "  alerting:",
        "    alertmanagers:",
        f"      - scheme: {scheme}",
        f"        path_prefix: {'/' + prefix if prefix else ''}/am/{key}",
        "        static_configs:",
        f"          - targets: ['{host}']",
    ]


async def _admin(core: Core, state: State, plan: Plan) -> str:
    for user in state.users.values():
        if user.role == "admin" and user.disabled_at is None:
            return user.name
    # Of a team's own plan the first person; the banner says whom.
    person = "admin" if "admin" in plan.people else next(iter(plan.people), "")
    result = await core.submit(SetUser(actor=ACTOR, name="admin", role="admin", person=person))
    return result.id


def _as_whom(state: State, name: str) -> list[str]:
    """In whose name the link lets somebody act."""
    user = state.users_by_name[name]
    if user.person:
        return [f"You are then {name}, and act as {user.person} of the plan."]
    return [f"You are then {name}, who is nobody of the plan."]


async def _machine_token(core: Core, state: State, data: Path, user: str) -> None:
    file = data / "token"
    try:
        known = state.tokens_by_hash.get(secret_hash(file.read_text(encoding="utf-8").strip()))
    except OSError:
        known = None
    if known is not None and known.revoked_at is None:
        return
    token = secrets.token_urlsafe(32)
    await core.submit(CreateToken(actor=ACTOR, hash=secret_hash(token), kind="token", user=user, name=THIS_MACHINE))
    new = data / "token.new"
    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(token + "\n")
    new.replace(file)
