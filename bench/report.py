"""The tables, as plain text (and as Markdown reads it)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

WAL_MOST = 64 << 20


def tables(found: dict[str, Any]) -> str:
    """Everything that was measured, with its target."""
    parts = [about(found)]
    if "intake" in found:
        parts += [f"Intake: medians of {found['rounds']} interleaved rounds of {found['seconds']:g} s", _intake(found["intake"])]
    beside = _beside(found)
    if len(beside) > 1:
        parts += ["Beside it", _table(beside)]
    return "\n\n".join(parts)


def about(found: dict[str, Any]) -> str:
    """One paragraph on the machine."""
    m = found["machine"]
    return (
        f"{m['at']}: {m['cores']} cores ({m['processor']}), {m['memory_gb']} GB, Linux {m['kernel']}, Python {m['python']}, {m['alertmanager']},"
        f" {m['wrk'].partition(' Copyright')[0]}; 4 kB made durable in {m['fsync_ms']:.2f} ms; before it began the machine was {m['busy_percent']:.0f} % busy (load {m['load']:.1f})"
    )


def _intake(measured: dict[str, list[dict[str, Any]]]) -> str:
    loads = list(dict.fromkeys(name.rpartition("/")[0] for name in measured))
    rows = [["load", "server", "alerts/s", "ratio", "p50 ms", "p99 ms", "CPU µs/alert", "ratio by CPU", "RSS MB", "WAL MB", "busy", "unjudged", "target"]]
    for load in loads:
        base = measured.get(f"{load}/alertmanager")
        for server in ("alertmanager", "sqlite", "postgres"):
            rounds = measured.get(f"{load}/{server}")
            if not rounds:
                continue
            rate, p99, spent = _middle(rounds, "alerts_per_second"), _middle(rounds, "p99"), _middle(rounds, "microseconds")
            ratio = rate / _middle(base, "alerts_per_second") if base else 0.0
            by_processor = _middle(base, "microseconds") / spent if base and spent else 0.0
            wal = max(one["log"] for one in rounds)
            bad = sum(one["unjudged"] + one["errors"] + one["refused"] for one in rounds)
            faults = sorted({fault for one in rounds for fault in one["faults"]})
            rows.append(
                [
                    load if server == "alertmanager" or not base else "", server, f"{rate:,.0f}", f"{ratio:.2f}", f"{_middle(rounds, 'p50'):.1f}", f"{p99:.1f}",
                    f"{spent:.1f}", f"{by_processor:.2f}", f"{max(one['resident'] for one in rounds) >> 20}", f"{wal >> 20}",
                    f"{_middle(rounds, 'others'):.0f} %", "0" if not bad and not faults else f"{bad} {'; '.join(faults)}",
                    "" if server == "alertmanager" else _verdict(load, server, ratio, p99, _middle(base, "p99") if base else 0.0, wal),
                ]
            )  # fmt: skip
    return _table(rows)


def _verdict(load: str, server: str, ratio: float, p99: float, other: float, wal: int) -> str:
    wanted = 0.0 if "one core" not in load or server != "sqlite" else 4.0 if "64/POST" in load else 1.0
    missed = []
    if wanted and ratio < wanted:
        missed.append(f"ratio below {wanted:g}")
    if other and p99 >= other:
        missed.append("p99 not below")
    if wal > WAL_MOST:
        missed.append("WAL above 64 MB")
    return "MISSED: " + ", ".join(missed) if missed else "met" if wanted else "reported"


def _beside(found: dict[str, Any]) -> list[list[str]]:
    rows = [["figure", "measured", "target", ""]]

    def row(name: str, value: float, unit: str, most: float) -> None:
        rows.append([name, f"{value:.2f} {unit}" if unit == "s" else f"{value:.1f} {unit}", f"<= {most:g} {unit}" if most else "", ("met" if value <= most else "MISSED") if most else "reported"])

    for store, one in found.get("pages", {}).items():
        beside = f"beside {one['events'].get('per_second', 0):,.0f} events/s, {one['reads']:.0f} reads of {one['heaviest']}, {one['export'].get('read', 0):.0f} exports"
        row(f"{store}: event posted to page at its receiver, p50 of {one['pages']}, {beside}", one["p50"], "ms", 0)
        row(f"{store}: the same, p99", one["p99"], "ms", 100)
        row(f"{store}: the same with nothing beside it, p50", one["quiet_p50"], "ms", 0)
        row(f"{store}: the same with nothing beside it, p99", one["quiet_p99"], "ms", 0)
    for store, one in found.get("full", {}).items():
        for path, times in one["lists"].items():
            row(f"{store}: {path} with {one['active']:,.0f} active alerts, median of 50", times["p50"], "ms", 50)
            row(f"{store}: {path}, p99 of 50", times["p99"], "ms", 50)
        row(f"{store}: core RSS then", one["core_rss"] / 2**20, "MB", 200)
        row(f"{store}: core RSS after starting again", one["core_rss_after_restart"] / 2**20, "MB", 200)
        row(f"{store}: supervisor and faces RSS then", one["other_rss"] / 2**20, "MB", 0)
        row(f"{store}: start to /readyz with {one['active']:,.0f} active alerts, after SIGTERM", one["restart"], "s", 2)
        row(f"{store}: the same after kill -9", one["restart_killed"], "s", 2)
    if "starts" in found:
        one = found["starts"]
        row("tocsin --help", one["help"], "s", 0.25)
        row("tocsin up to /readyz, empty folder", one["empty"], "s", 1.5)
        row("tocsin up to /readyz, used folder", one["used"], "s", 1.5)
    return rows


def _middle(rounds: Sequence[dict[str, Any]], what: str) -> float:
    return float(median(one[what] for one in rounds))


def _table(rows: list[list[str]]) -> str:
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(wide[n]) for n, cell in enumerate(row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in wide) + "|", *lines[1:]])
