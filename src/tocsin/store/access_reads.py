"""What is read of who may do what, and of how people are reached."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import and_, select

from tocsin.access.credentials import Key, Token, User
from tocsin.pages.contacts import MOST_CONTACTS, Contact
from tocsin.pages.rules import Reach
from tocsin.store import tables
from tocsin.store.reading import LIMIT, MOST, Reading, Slice, capped, place_of


class AccessReads(Reading):
    """Keys, users, tokens, and people's contact methods and rules; a part of ``Reads``."""

    # --- who may

    def keys(self, *, after: str | None = None, limit: int = LIMIT) -> Slice[Key]:
        """Keys, revoked ones too, newest first."""
        return self._page(self._by_id(tables.keys, []), _key.decode, place_of(after), capped(limit))

    def key(self, number: int) -> Key | None:
        """One key."""
        return self._one(tables.keys, tables.keys.c.id == number, _key.decode)

    def key_by_hash(self, digest: bytes) -> Key | None:
        """The key with this hash, revoked or not."""
        return self._one(tables.keys, tables.keys.c.hash == digest, _key.decode)

    def users(self, *, after: str | None = None, limit: int = LIMIT) -> Slice[User]:
        """Users, disabled ones too, newest first."""
        return self._page(self._by_id(tables.users, []), _user.decode, place_of(after), capped(limit))

    def user(self, name: str) -> User | None:
        """The user of that name."""
        return self._one(tables.users, tables.users.c.name == name, _user.decode)

    def user_by_id(self, number: int) -> User | None:
        """The user with that id."""
        return self._one(tables.users, tables.users.c.id == number, _user.decode)

    def token(self, number: int) -> Token | None:
        """One token or link."""
        return self._one(tables.tokens, tables.tokens.c.id == number, _token.decode)

    def token_by_hash(self, digest: bytes) -> Token | None:
        """The token or link with this hash, usable or not."""
        return self._one(tables.tokens, tables.tokens.c.hash == digest, _token.decode)

    def bearer(self, digest: bytes) -> tuple[Token, User] | None:
        """A token and its user in one snapshot."""
        with self._snapshot() as connection:
            row = connection.execute(
                select(tables.tokens.c.body).where(*self._here(tables.tokens), tables.tokens.c.hash == digest)
            ).first()
            if row is None:
                return None
            token = _token.decode(row[0])
            of = connection.execute(
                select(tables.users.c.body).where(*self._here(tables.users), tables.users.c.id == token.user)
            ).first()
        return None if of is None else (token, _user.decode(of[0]))

    def tokens(self, *, user: int | None = None, after: str | None = None, limit: int = LIMIT) -> Slice[Token]:
        """Tokens and links, spent ones too, newest first."""
        keep = (lambda one: one.user == user) if user is not None else None
        return self._page(self._by_id(tables.tokens, []), _token.decode, place_of(after), capped(limit), keep)

    # --- how people are reached

    def contacts(self, person: str) -> list[Contact]:
        """A person's contact methods, the oldest first."""
        table = tables.contacts
        asked = select(table.c.body).where(*self._here(table), table.c.person == person, table.c.live.is_(True))
        return self._all(asked.order_by(table.c.id).limit(MOST), _contact.decode)

    def contacts_of(self, people: Sequence[str]) -> list[Contact]:
        """The contact methods of these people, of up to ``MOST`` of them."""
        table = tables.contacts
        asked = select(table.c.body).where(
            *self._here(table), table.c.person.in_(people[:MOST]), table.c.live.is_(True)
        )
        return self._all(asked.order_by(table.c.id).limit(MOST * MOST_CONTACTS), _contact.decode)

    def contact(self, number: int) -> Contact | None:
        """One contact method; None when it was removed."""
        return self._one(
            tables.contacts, and_(tables.contacts.c.id == number, tables.contacts.c.live.is_(True)), _contact.decode
        )

    def reach(self, person: str) -> Reach:
        """A person's own rules; the defaults when they never said anything."""
        return self._one(tables.reaches, tables.reaches.c.person == person, _reach.decode) or Reach(person=person)


_key = msgspec.json.Decoder(Key)
_user = msgspec.json.Decoder(User)
_token = msgspec.json.Decoder(Token)
_contact = msgspec.json.Decoder(Contact)
_reach = msgspec.json.Decoder(Reach)
