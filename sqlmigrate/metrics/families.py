"""What Prometheus reads: a reading of the database -> metric families. Pure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.history.log import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client import Metric

    from sqlmigrate.history.log import Reading, Total

_BOUNDS = [*(f"{bound / 1000:g}" for bound in BOUNDS), "+Inf"]
_TIMED = ("apply", "rollback")
_OUTCOMES = ("success", "failure")


def client(module: str) -> Any:
    """A module of prometheus_client, which is in an extra.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return importlib.import_module(f"prometheus_client.{module}")
    except ImportError as error:
        raise ConfigurationError(
            "prometheus_client is not installed", hint="pip install 'sqlmigrate[metrics]'"
        ) from error


def families(reading: Reading, pending: int) -> list[Metric]:
    """Every metric there is, also those that nothing was counted for yet."""
    totals = reading.totals
    succeeded = [one for one in totals if one.outcome == "success"]
    applied = [one for one in succeeded if one.action == "apply"]
    return [
        *up(is_up=True),
        _counter("migration_success", "Migrations applied.", applied),
        _counter(
            "migration_failure",
            "Migrations and rollbacks that failed, and runs that were broken off.",
            [one for one in totals if one.outcome == "failure"],
        ),
        _counter(
            "migration_rollback",
            "Migrations taken back.",
            [one for one in succeeded if one.action == "rollback"],
        ),
        _gauge("migration_pending", "Migrations on disk that are to be applied.", pending),
        _gauge("migration_lock_held", "Whether a run goes on: 1 while the migration lock is held.", reading.lock_held),
        _gauge(
            "migration_last_success_timestamp_seconds",
            "When a migration was last applied; 0 if never.",
            max((one.last_at.timestamp() for one in applied), default=0),
        ),
        _durations([one for one in totals if one.action == "apply" and one.version]),
        _histogram([one for one in totals if one.action in _TIMED]),
    ]


def up(*, is_up: bool) -> list[Metric]:
    """What is told in any case. Without a database it is all: a counter of zero would be a reset."""
    return [_gauge("migration_up", "Whether the database answered.", is_up)]


def labelled(metrics: list[Metric], labels: Mapping[str, str]) -> list[Metric]:
    """The metrics with labels that all of their samples have, before those of each."""
    for one in metrics:
        one.samples = [sample._replace(labels={**labels, **sample.labels}) for sample in one.samples]
    return metrics


def exposition(metrics: Sequence[Metric]) -> str:
    """The text that Prometheus reads."""
    return str(client("exposition").generate_latest(Collected(metrics)).decode())


class Collected:
    """Metrics as prometheus_client wants them: of something to collect them from."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        return self._metrics


def _counter(name: str, text: str, totals: Sequence[Total]) -> Any:
    return client("core").CounterMetricFamily(name, text, value=sum(one.entries for one in totals))


def _gauge(name: str, text: str, value: float) -> Any:
    return client("core").GaugeMetricFamily(name, text, value=float(value))


def _durations(totals: Iterable[Total]) -> Any:
    text = "How long a migration took when it was last applied, or when that last failed."
    family = client("core").GaugeMetricFamily("migration_duration_seconds", text, labels=("version", "outcome"))
    for one in sorted(totals):
        family.add_metric((one.version, one.outcome), one.last_duration_ms / 1000)
    return family


def _histogram(totals: Sequence[Total]) -> Any:
    text = "How long migrations and rollbacks took."
    family = client("core").HistogramMetricFamily("migration_duration_histogram_seconds", text, labels=("outcome",))
    for outcome in _OUTCOMES:
        those = [one for one in totals if one.outcome == outcome]
        counts = [sum(one.buckets[number] for one in those) for number in range(len(_BOUNDS))]
        seconds = sum(one.duration_ms for one in those) / 1000
        family.add_metric((outcome,), list(zip(_BOUNDS, counts, strict=True)), seconds)
    return family
