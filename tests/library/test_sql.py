"""One's own statements on a real PostgreSQL: bounded, read-only where they look, one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from tests.support.shop_database import Shop, running_shop
from tocsin import Refused
from tocsin.library import postgres, sql
from tocsin.playbooks.language import Vault, vault

IT = postgres.Server(name="main")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop() as made:
        token = vault.set(Vault({"main": made.fixing}))
        yield made
        vault.reset(token)


@pytest.fixture
def rows(shop: Shop) -> Callable[..., sql.Rows]:
    def ask(statement: str, values: dict[str, Any] | None = None, **how: Any) -> sql.Rows:
        token = vault.set(Vault({"main": shop.fixing}))
        try:
            return sql.rows(IT, statement, values, **how)
        finally:
            vault.reset(token)

    return ask


@pytest.fixture
def change(shop: Shop) -> Callable[..., int]:
    def do(statement: str, values: dict[str, Any] | None = None, **how: Any) -> int:
        token = vault.set(Vault({"main": shop.fixing}))
        try:
            assert sql.change.function is not sql.repeatable.function
            return int(sql.change.function(IT, statement, values, **how))
        finally:
            vault.reset(token)

    return do


def test_values_are_parameters_and_answers_are_plain(rows: Callable[..., sql.Rows]) -> None:
    evil = "x' or '1'='1"
    assert rows("select id from orders where state = %(state)s", {"state": evil}).rows == ()
    found = rows("select 1, 2.5, 'a', true, null, now(), 1e400::numeric, 'nan'::float8, '{1,2}'::int[]")
    assert found.rows[0][:5] == (1, "2.5", "a", True, None)
    assert all(isinstance(one, str) for one in found.rows[0][5:])
    assert msgspec.json.decode(msgspec.json.encode(found), type=sql.Rows) == found
    one = rows("select id, state from orders where id = %(id)s", {"id": 7})
    assert (one.columns, one.value, one.more) == (("id", "state"), 7, False)
    assert rows("select count(*) from orders").value == 100


def test_an_answer_is_bounded_in_rows_in_bytes_and_in_time(rows: Callable[..., sql.Rows]) -> None:
    some = rows("select generate_series(1, 1000000000)", most=10, within="30s")
    assert len(some.rows) == 10 and some.more and "more than 10 rows" in str(some)
    wide = rows("select repeat('x', 3000) from generate_series(1, 900) n", most=1_000)
    assert wide.more and len(msgspec.json.encode(wide)) < 150 * 1024
    assert len(str(rows("select repeat('x', 100000)").value)) == sql.LONGEST_TEXT
    with pytest.raises(psycopg.errors.QueryCanceled):
        rows("select pg_sleep(20)", within="100ms")
    with pytest.raises(postgres.Trouble, match="at most 10m"):
        rows("select 1", within="11m")


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("delete from orders", psycopg.errors.ReadOnlySqlTransaction),
        ("commit; delete from orders", psycopg.errors.SyntaxError),
        ("select 1; select 2", psycopg.errors.SyntaxError),
        ("create table x ()", psycopg.errors.ReadOnlySqlTransaction),
        ("select * from nowhere", psycopg.errors.UndefinedTable),
    ],
)
def test_a_look_changes_nothing(
    shop: Shop, rows: Callable[..., sql.Rows], statement: str, error: type[Exception]
) -> None:
    with shop.admin() as connection:
        connection.execute("grant delete on orders to fixer; grant create on schema public to fixer")
    with pytest.raises(error):
        rows(statement)
    assert shop.value("select count(*) from orders") == 100


def test_the_documentations_own_statements_do_what_it_says(
    shop: Shop, rows: Callable[..., sql.Rows], change: Callable[..., int]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "solutions" / "postgres.md").read_text(encoding="utf-8")
    stuck, give_back = re.findall(r'^(?:STUCK|GIVE_BACK) = "(.*)"$', page, re.MULTILINE)
    with shop.admin() as connection:
        connection.execute("alter table orders add column taken_at timestamptz")
        connection.execute("update orders set state = 'taken', taken_at = now() - '2h'::interval where id <= 3")
        connection.execute("update orders set state = 'taken', taken_at = now() where id = 4")
    longer = {"longer": "1h"}
    assert rows(stuck, longer).value == 3
    assert change(give_back, longer, most=100) == 3
    assert rows(stuck, longer).value == 0 and shop.value("select state from orders where id = 4") == "taken"
    with shop.admin() as connection:
        connection.execute("update orders set state = 'new'")


def test_a_change_is_of_so_many_rows_as_are_meant_or_none(shop: Shop, change: Callable[..., int]) -> None:
    taken = "update orders set state = %(to)s where id <= %(n)s"
    assert change(taken, {"to": "taken", "n": 5}, most=5) == 5
    with pytest.raises(Refused, match="would change 6 rows, and at most 5 are meant: rolled back"):
        change(taken, {"to": "lost", "n": 6}, most=5)
    assert shop.value("select count(*) from orders where state = 'lost'") == 0
    with pytest.raises(psycopg.errors.SyntaxError):
        change("update orders set state = 'x' where id = 1; delete from orders", most=5)
    with pytest.raises(psycopg.errors.SyntaxError):
        change("commit; update orders set state = 'x'", most=5)
    assert shop.value("select count(*) from orders where state = 'taken'") == 5
    shop.hold_a_row(1)
    with pytest.raises(psycopg.errors.LockNotAvailable):
        change(taken, {"to": "taken", "n": 1}, most=1, within="5s")
    assert sql.repeatable.idempotent and not sql.change.idempotent


@pytest.mark.parametrize(
    "statement",
    [
        "with gone as (delete from orders returning 1) select count(*) from gone",
        "select purge()",
        "do 'begin perform purge(); end'",
        "create table swept as select * from orders",
    ],
)
def test_what_nobody_counts_is_changed_only_where_one_says_so(
    shop: Shop, change: Callable[..., int], statement: str
) -> None:
    shop.quiet()
    with shop.admin() as connection:
        connection.execute("grant delete on orders to fixer; grant create on schema public to fixer")
        connection.execute(
            "create or replace function purge() returns bigint language sql as "
            "'with gone as (delete from orders where id > 90 returning 1) select count(*) from gone'"
        )
    with pytest.raises(Refused, match="says not how many rows it changes: rolled back"):
        change(statement, most=1_000)
    assert shop.value("select count(*) from orders") == 100
    assert shop.value("select to_regclass('swept') is null")


def test_what_is_not_counted_may_be_done_and_what_is_stays_bounded(shop: Shop, change: Callable[..., int]) -> None:
    shop.quiet()
    with pytest.raises(Refused, match="at most 5 are meant: rolled back"):
        change("update orders set state = state", most=5, uncounted=True)
    assert change("create table kept as select * from orders", most=0, uncounted=True) == 0, "nobody has counted"
    assert shop.value("select count(*) from kept") == 100
