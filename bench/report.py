"""The tables, as plain text that Markdown reads as tables too."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

WAL_MOST = 64 << 20
HEADINGS = (
    "load", "server", "alerts/s", "ratio", "p50 ms", "p99 ms", "CPU µs/alert", "ratio by CPU", "RSS MB", "WAL MB",
    "others", "not judged", "target",
)  # fmt: skip


def tables(found: dict[str, Any]) -> str:
    """Everything that was measured, with its target."""
    parts = [about(found)]
    if "intake" in found:
        parts.append(f"Intake: medians of {found['rounds']} interleaved rounds of {found['seconds']:g} s each")
        parts.append(_intake(found["intake"]))
    rows = [
        *_pages(found.get("pages", {})),
        *_timers(found.get("timers", {})),
        *_full(found.get("full", {})),
        *_starts(found.get("starts")),
        *_oncall(found.get("oncall")),
        *_playbooks(found.get("playbooks")),
    ]
    if rows:
        parts.append(_table([["figure", "measured", "target", ""], *rows]))
    return "\n\n".join(parts)


def about(found: dict[str, Any]) -> str:
    """A few lines on the machine."""
    m = found["machine"]
    return (
        f"{m['at']}: {m['cores']} cores ({m['processor']}), {m['memory_gb']} GB, Linux {m['kernel']}\n"
        f"Python {m['python']}; {m['alertmanager']}; {m['wrk'].partition(' Copyright')[0]}\n"
        f"4 kB made durable in {m['fsync_ms']:.2f} ms; before it began, others kept the machine"
        f" {m['busy_percent']:.0f} % busy"
    )


def _intake(measured: dict[str, list[dict[str, Any]]]) -> str:
    rows = [list(HEADINGS)]
    for load in dict.fromkeys(name.rpartition("/")[0] for name in measured):
        base = measured.get(f"{load}/alertmanager")
        for server in ("alertmanager", "sqlite", "postgres"):
            rounds = measured.get(f"{load}/{server}")
            if rounds:
                rows.append(_row(load, server, rounds, base))
    return _table(rows)


def _row(load: str, server: str, rounds: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]] | None) -> list[str]:
    rate, spent = _middle(rounds, "alerts_per_second"), _middle(rounds, "microseconds")
    row = [load, server, f"{rate:,.0f}"]
    ratio = rate / _middle(base, "alerts_per_second") if base else 0.0
    row += [f"{ratio:.2f}×" if ratio else "", f"{_middle(rounds, 'p50'):.1f}", f"{_middle(rounds, 'p99'):.1f}"]
    row += [f"{spent:.1f}", f"{_middle(base, 'microseconds') / spent:.2f}×" if base and spent else ""]
    wal = max(one["log"] for one in rounds)
    row += [f"{max(one['resident'] for one in rounds) >> 20}", f"{wal >> 20}" if server == "sqlite" else ""]
    bad = sum(one["unjudged"] + one["errors"] + one["refused"] for one in rounds)
    faults = sorted({fault for one in rounds for fault in one["faults"]})
    row += [f"{_middle(rounds, 'others'):.0f} %", "; ".join([str(bad), *faults]) if server != "alertmanager" else ""]
    if server == "alertmanager" or base is None:
        return [*row, ""]
    wanted = 0.0 if "one core" not in load or server != "sqlite" else 4.0 if "64/POST" in load else 1.0
    missed = [f"ratio below {wanted:g}×"] if ratio < wanted else []
    if wanted and _middle(rounds, "p99") >= _middle(base, "p99"):
        missed.append("p99 above Alertmanager's")
    if wal > WAL_MOST:
        missed.append("WAL above 64 MB")
    if bad or faults:
        missed.append("not every alert judged")
    return [*row, "MISSED: " + ", ".join(missed) if missed else f"≥ {wanted:g}×: met" if wanted else "reported"]


def _pages(stores: dict[str, Any]) -> list[list[str]]:
    rows = []
    for store, one in stores.items():
        events, export = one["events"], one["export"]
        failed = one["reads_failed"] + events["not_2xx"] + export["not_2xx"]
        reads = f"{one['reads']:.0f} reads of {one['heaviest']}, {export['read']:.0f} exports"
        beside = f"{events['per_second']:,.0f} events/s, {reads}"
        rows += [
            _figure(f"{store}: event posted to page at its receiver, median of {one['pages']}", one["p50"], "ms"),
            _figure(f"{store}: the same, p99; beside it {beside}, {failed:.0f} failed", one["p99"], "ms", 100),
            _figure(f"{store}: the same with nothing beside it, median", one["quiet_p50"], "ms"),
            _figure(f"{store}: the same with nothing beside it, p99", one["quiet_p99"], "ms"),
        ]
    return rows


def _timers(stores: dict[str, Any]) -> list[list[str]]:
    rows = []
    for store, one in stores.items():
        events = one["events"]
        beside = f"{events['per_second']:,.0f} events/s and {one['pending']:,} pending timers"
        failed, pages = events["not_2xx"] + one["faults"], one["pages"]
        rows += [
            _figure(f"{store}: step due to page at its receiver, idle, median of {pages}", one["idle_p50"], "ms"),
            _figure(f"{store}: the same, p99", one["idle_p99"], "ms", 50),
            _figure(f"{store}: the same beside {beside}, median", one["p50"], "ms"),
            _figure(f"{store}: the same, p99; {failed:.0f} failed", one["p99"], "ms", 250),
        ]
    return rows


def _full(stores: dict[str, Any]) -> list[list[str]]:
    rows = []
    for store, one in stores.items():
        active = f"{one['active']:,.0f} active alerts"
        for path, times in one["lists"].items():
            rows.append(_figure(f"{store}: {path} with {active}, median of 50", times["p50"], "ms", 50))
            rows.append(_figure(f"{store}: {path} with {active}, p99", times["p99"], "ms", 50))
        rows += [
            _figure(f"{store}: memory of the core then", one["core_rss"] / 2**20, "MB", 200),
            _figure(
                f"{store}: memory of the core after starting again", one["core_rss_after_restart"] / 2**20, "MB", 200
            ),
            _figure(f"{store}: memory of supervisor and faces then", one["other_rss"] / 2**20, "MB"),
            _figure(f"{store}: start to ready with {active}, after SIGTERM", one["restart"], "s", 2),
            _figure(
                f"{store}: start to ready, after kill -9; {one['active_after_restart']:,.0f} then",
                one["restart_killed"],
                "s",
                2,
            ),
        ]
    return rows


def _starts(one: dict[str, Any] | None) -> list[list[str]]:
    if one is None:
        return []
    return [
        _figure("tocsin --help", one["help"], "s", 0.25),
        _figure("tocsin up, start to ready, empty folder", one["empty"], "s", 1.5),
        _figure("tocsin up, start to ready, used folder", one["used"], "s", 1.5),
    ]


def _oncall(one: dict[str, Any] | None) -> list[list[str]]:
    if one is None:
        return []
    return [
        _figure("who is on call at one instant, cold", one["cold_us"], "µs", 1_000),
        _figure("the same from the cache", one["cached_us"], "µs", 50),
        _figure("the same with ten overrides", one["overridden_us"], "µs", 50),
        _figure("the same with an imported rota of 2,000 entries", one["imported_us"], "µs", 20),
        _figure("the same, cold", one["imported_cold_us"], "µs", 1_000),
        _figure("a calendar of 12 weeks and 200 schedules", one["calendar_ms"], "ms", 300),
    ]


def _playbooks(one: dict[str, Any] | None) -> list[list[str]]:
    if one is None:
        return []
    return [
        _figure("alert to a playbook's first step, p99", one["first_p99_ms"], "ms", 150),
        _figure("what a fix costs beside itself, p50", one["step_p50_ms"], "ms", 15),
        ["three-step runs, journal alone", f"{one['journal_per_s']:.0f}/s", "≥ 100/s",
         "met" if one["journal_per_s"] >= 100 else "MISSED"],
        ["three-step runs with their processes", f"{one['real_per_s']:.0f}/s", "", "reported"],
        _figure("a run begun and asking, of the first tenth of all targets", one["first_us"] / 1000, "ms"),
        _figure("the same, of the last tenth", one["last_us"] / 1000, "ms"),
        _figure(f"{one['waiting']} runs that wait for a person, memory", one["waiting_mb"], "MB"),
        _figure(f"{one['waiting']} runs that wait for a person, of one core", one["waiting_cpu"], "%"),
    ]  # fmt: skip


def _figure(name: str, value: float, unit: str, most: float = 0.0) -> list[str]:
    measured = f"{value:.2f} {unit}" if unit == "s" else f"{value:.1f} {unit}"
    if not most:
        return [name, measured, "", "reported"]
    return [name, measured, f"≤ {most:g} {unit}", "met" if value <= most else "MISSED"]


def _middle(rounds: Sequence[dict[str, Any]], what: str) -> float:
    return float(median(one[what] for one in rounds))


def _table(rows: list[list[str]]) -> str:
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(wide[n]) for n, cell in enumerate(row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in wide) + "|", *lines[1:]])
