"""Reads metrics as Prometheus does, and watches the counters."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from sqlmigrate.errors import DatabaseError
from tests.project import Project

Samples = Mapping[str, float]
_ORDER = ("version", "outcome", "le")
COUNTERS = ("migration_success_total", "migration_failure_total", "migration_rollback_total")


def samples(families: list[Metric]) -> Samples:
    """Returns the samples by name and labels, without the common labels.

    For example `{'migration_pending': 2.0, 'migration_duration_seconds v1.0.0-001 success': 0.1}`.
    """
    return {
        " ".join([sample.name, *(sample.labels[key] for key in _ORDER if key in sample.labels)]): sample.value
        for family in families
        for sample in family.samples
    }


def parsed(text: str) -> Samples:
    return samples(list(text_string_to_metric_families(text)))


def read(project: Project) -> Samples:
    with contextlib.closing(project.migrator().exporter()) as exporter:
        return samples(exporter.read())


class Watch:
    """Reads the metrics repeatedly in a thread, and records each counter that decreases."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read_repeatedly)
        self.readings = 0
        self.decreases: list[tuple[str, float, float]] = []
        self.highest: dict[str, float] = dict.fromkeys(COUNTERS, 0)

    def _read_repeatedly(self) -> None:
        with contextlib.closing(self._project.migrator().exporter()) as exporter:
            while not self._ended.is_set():
                with contextlib.suppress(DatabaseError):
                    self._record(samples(exporter.read()))
                time.sleep(0.002)

    def _record(self, current: Samples) -> None:
        self.readings += 1
        for name, before in self.highest.items():
            if current[name] < before:
                self.decreases.append((name, before, current[name]))
            self.highest[name] = current[name]

    @classmethod
    @contextlib.contextmanager
    def over(cls, project: Project) -> Iterator[Watch]:
        watch = cls(project)
        watch._thread.start()
        try:
            yield watch
        finally:
            watch._ended.set()
            watch._thread.join()
