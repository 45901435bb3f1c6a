"""Apprise: whatever the Apprise library reaches, by an Apprise URL that a person's secret holds.

An optional extra: ``pip install 'tocsin[apprise]'``. Its URLs hold passwords, so a plan names them by reference only.
The library opens its own connections, which the guard of ``runtime.outbound`` does not see: whoever may set a secret on
this machine decides where they go. It says only whether it worked, so a failure is tried again like one that passes.
"""

from __future__ import annotations

from tocsin.notation.words import SECRET
from tocsin.pages import rendering
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.message import Failed, Message, Sent
from tocsin.pages.profile import Address, Loopback, Paced, Profile, SetUp, Wording

LONGEST = 3_900
"""Bytes of a page in full: ntfy makes a file of what has more than 4,096, or refuses it."""


class Apprise:
    """Hands pages to the library, for all URLs of the plan, each on a thread of its own: it blocks."""

    name = "apprise"
    idempotent = False
    real = True

    def __init__(self, setup: Setup) -> None:
        self._outside, self._secret = setup.outside, setup.secret

    async def send(self, message: Message) -> Sent | Failed:
        """Hand it over once."""
        try:
            url = self._secret(message.address)
        except (LookupError, OSError, ValueError) as error:
            return no_secret(message.address, error)
        try:
            return await self._outside.aside(
                f"apprise {rendering.stable_key(message)}", lambda: _notify(url, message), within=DEADLINE
            )
        except TimeoutError:
            return Failed("deadline", f"Apprise did not finish within {DEADLINE:g} s")
        except ImportError:
            return Failed("no_channel", "Apprise is not installed here: pip install 'tocsin[apprise]'", permanent=True)

    def preview(self, message: Message) -> str:
        """Title and body."""
        return f"{rendering.subject(message)}\n\n{said(message)}"

    def place(self, address: str) -> str:
        """The secret that names it: what stands there is read when it is needed."""
        return address

    async def close(self) -> None:
        """Nothing is kept open."""


def said(message: Message) -> str:
    """The page in full, or, where that is long, as chats are told it."""
    full = rendering.text(message)
    return full if len(full.encode("utf-8", "replace")) <= LONGEST else f"{rendering.chat(message)}\n"


def _notify(url: str, message: Message) -> Sent | Failed:
    import apprise

    hand = apprise.Apprise()
    if not hand.add(url):
        return Failed("address", f"{message.address} is no URL that Apprise knows", permanent=True)
    kind = apprise.NotifyType.FAILURE if message.asks else apprise.NotifyType.INFO
    done = hand.notify(
        title=rendering.subject(message),
        body=said(message),
        notify_type=kind,
        body_format=apprise.NotifyFormat.TEXT,
        interpret_escapes=False,
    )
    return Sent() if done else Failed("server", f"Apprise could not hand it to what {message.address} names")


class ThroughApprise(Paced):
    """Apprise, whose URLs people name by secrets: each is sent at most so many."""

    what = "the pace of Apprise"


PROFILE = Profile(
    name="apprise",
    called="Apprise",
    by="by Apprise",
    make=Apprise,
    set_up=SetUp(
        "apprise", ThroughApprise, "How fast Apprise is handed pages; it needs nothing else here.", needed=False
    ),
    address=Address(SECRET, "An Apprise URL, by reference: secret:NAME. Reaches what Apprise reaches."),
    wording=Wording("What Apprise hands on.", "full"),
    loopback=Loopback(
        SECRET, "An Apprise URL, by reference, of what posts to Tocsin's /loopback: json://…, secret:NAME.",
        in_words=True,
    ),
)
