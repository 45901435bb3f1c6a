"""Figures for Prometheus, collected when asked so that the hot path only counts."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tocsin.kernel.instant import SECOND
from tocsin.oncall.imported import Imported
from tocsin.pages.loops import Loop


class Figures(Protocol):
    """Where the figures come from."""

    def counts(self) -> dict[tuple[str, str], int]:
        """Decisions by kind and reason since the start."""
        ...

    def loops(self) -> list[Loop]:
        """What is known of each channel's synthetic page."""
        ...

    def calendars(self) -> list[Imported]:
        """What is known of each calendar that is kept elsewhere."""
        ...

    def levels(self) -> dict[str, tuple[float, str]]:
        """What is measured as a level: name to value and help."""
        ...


class Metrics:
    """Renders the figures."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks a collector for."""
        decided = CounterMetricFamily(
            "tocsin_decisions", "What was decided, by kind and named reason.", labels=("kind", "reason")
        )
        for (kind, reason), number in sorted(self._figures.counts().items()):
            decided.add_metric((kind, reason), number)
        yield decided
        for name, (value, explained) in self._figures.levels().items():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            metric = family("tocsin_" + name.removesuffix("_total"), explained)
            metric.add_metric((), value)
            yield metric
        yield from self._synthetic()
        yield from self._calendars()
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = CounterMetricFamily("process_cpu_seconds", "Processor time used.")
        cpu.add_metric((), used.ru_utime + used.ru_stime)
        yield cpu
        yield GaugeMetricFamily(
            "process_max_resident_memory_bytes", "The most memory the core has had.", value=used.ru_maxrss * 1024
        )

    def _calendars(self) -> Iterator[Metric]:
        away = GaugeMetricFamily(
            "tocsin_calendar_unreadable", "1 while a calendar's source gives nothing usable.", labels=("calendar",)
        )
        read = GaugeMetricFamily(
            "tocsin_calendar_last_read_timestamp_seconds",
            "When the copy of a calendar that counts was taken.",
            labels=("calendar",),
        )
        for one in self._figures.calendars():
            away.add_metric((one.name,), float(one.failing_since is not None))
            if one.read_at is not None:
                read.add_metric((one.name,), one.read_at / SECOND)
        yield away
        yield read

    def _synthetic(self) -> Iterator[Metric]:
        loops = self._figures.loops()
        took = GaugeMetricFamily(
            "tocsin_synthetic_page_seconds", "How long the last synthetic page to come back took.", labels=("channel",)
        )
        missing = GaugeMetricFamily(
            "tocsin_synthetic_page_missing", "1 while the last synthetic page has not come back.", labels=("channel",)
        )
        for loop in loops:
            if loop.took is not None:
                took.add_metric((loop.channel,), loop.took / SECOND)
            missing.add_metric((loop.channel,), float(loop.alert > 0))
        yield took
        yield missing
