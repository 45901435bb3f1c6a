"""Whom an entry of a calendar from elsewhere is about."""

from __future__ import annotations

import pytest

from tocsin.oncall.imported import Busy, Colleague, Names

PEOPLE = [
    Colleague("ana", "Ana Ruiz", "ana@shop.example"),
    Colleague("ana-m", "Ana Marín", "am@shop.example"),
    Colleague("ben", "Ben Okafor", "ben@shop.example"),
    Colleague("benita", "Benita", ""),
]


@pytest.mark.parametrize(
    ("text", "emails", "who"),
    [
        ("Primary", ("ben@shop.example",), "ben"),
        ("Ana Ruiz", ("ben@shop.example",), "ben"),
        ("Primary", ("ben@shop.example", "am@shop.example"), ""),
        ("On call: ANA MARÍN (first)", (), "ana-m"),
        ("BEN", (), "ben"),
        ("shift of Ben", (), "ben"),
        ("Benita", (), "benita"),
        ("ana-m, nights", (), "ana-m"),
        ("Ana Ruiz and Ben Okafor", (), ""),
        ("team lunch", (), ""),
        ("", (), ""),
        ("mail am@shop.example", (), "ana-m"),
    ],
)
def test_an_entry_is_about_whom_it_invites_or_names_for_certain(text, emails, who):
    assert Names(PEOPLE).of(Busy(0, 1, False, text, emails)) == who
