"""What of a webhook's body a trigger takes, and what it passes over."""

from __future__ import annotations

import pytest

from tocsin.api.triggers import Pulled, _read
from tocsin.faces.problem import Problem


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        ("", Pulled()),
        ('{"id": "e", "labels": {"instance": "a"}, "args": {"most": 3}}',
         Pulled(id="e", labels={"instance": "a"}, args={"most": 3})),
        ('{"id": null, "labels": ["env:prod"], "title": {"deep": [1]}}', Pulled()),
        ('{"id": {"of": 1}, "labels": {"a": 1, "b": true, "c": null, "d": [1], "e": "f"}, "args": null}',
         Pulled(labels={"a": "1", "b": "true", "e": "f"})),
        ('{"id": 17, "labels": null}', Pulled(id=17)),
    ],
)  # fmt: skip
def test_what_others_mean_by_the_same_words_is_passed_over(body: str, taken: Pulled) -> None:
    assert _read(body.encode()) == taken


@pytest.mark.parametrize("body", ["[]", "3", "{", '{"args": ["a"]}', '{"args": {"a": [1]}}'])
def test_what_is_no_object_or_says_arguments_wrongly_is_refused(body: str) -> None:
    with pytest.raises(Problem) as refused:
        _read(body.encode())
    assert refused.value.status == 400
