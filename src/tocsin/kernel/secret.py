"""What everybody has to know of secrets, whoever keeps them."""

from __future__ import annotations


class SecretAway(LookupError):
    """A secret that is not to be had now, and may be in a while: whoever keeps it has not answered, or not well."""
