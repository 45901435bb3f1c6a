"""What ``until`` and ``harm`` answer of what is seen: yes, no, or neither."""

from __future__ import annotations

from contextlib import suppress


def is_yes(rule: str, answer: object) -> bool:
    """Whether a rule answered yes. What is empty is no; anything else but a plain yes is no evidence of either, as of
    ``(False, "why")``, or of a method that nobody called. Raises TypeError then.
    """
    if isinstance(answer, bool):
        return answer
    with suppress(ValueError):  # an array of several is not even that
        if type(answer).__name__ in ("bool", "bool_") or not answer:  # numpy has its own
            return bool(answer)
    raise TypeError(f"{rule} answered {answer!r:.100}, which is neither yes nor no")


def harmful(answer: object) -> str:
    """Why what ``harm`` answered ends a verification; "" for a plain no. What is neither yes nor no may well have been
    meant as yes (a text that says what is worse, a count of errors): nothing is verified over it.
    """
    try:
        return "it shows harm" if is_yes("harm", answer) else ""
    except TypeError as error:
        return str(error)
