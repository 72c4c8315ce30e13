"""Computes the metric families from a reading of the database."""

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
    """Imports a module of prometheus_client, which is an optional dependency.

    Raises:
        ConfigurationError: prometheus_client is not installed.
    """
    try:
        return importlib.import_module(f"prometheus_client.{module}")
    except ImportError as error:
        raise ConfigurationError(
            "prometheus_client is not installed", hint="pip install 'sqlmigrate[metrics]'"
        ) from error


def families(reading: Reading, pending: int) -> list[Metric]:
    """Returns all metrics; counters start at 0."""
    totals = reading.totals
    succeeded = [total for total in totals if total.outcome == "success"]
    applied = [total for total in succeeded if total.action == "apply"]
    return [
        *up(is_up=True),
        _counter("migration_success", "Migrations applied.", applied),
        _counter(
            "migration_failure",
            "Failed migrations, failed rollbacks and interrupted runs.",
            [total for total in totals if total.outcome == "failure"],
        ),
        _counter(
            "migration_rollback",
            "Migrations rolled back.",
            [total for total in succeeded if total.action == "rollback"],
        ),
        _gauge("migration_pending", "Pending migrations.", pending),
        _gauge("migration_lock_held", "1 while a run holds the migration lock, otherwise 0.", reading.lock_held),
        _gauge(
            "migration_last_success_timestamp_seconds",
            "Time at which a migration was last applied; 0 if never.",
            max((total.last_at.timestamp() for total in applied), default=0),
        ),
        _durations([total for total in totals if total.action == "apply" and total.version]),
        _histogram([total for total in totals if total.action in _TIMED]),
    ]


def up(*, is_up: bool) -> list[Metric]:
    """Returns `migration_up`, the only metric without a database: counters at 0 would look like a reset."""
    return [_gauge("migration_up", "1 if the database responds, otherwise 0.", is_up)]


def labelled(metrics: list[Metric], labels: Mapping[str, str]) -> list[Metric]:
    """Adds labels to all samples of the metrics."""
    for metric in metrics:
        metric.samples = [sample._replace(labels={**labels, **sample.labels}) for sample in metric.samples]
    return metrics


def exposition(metrics: Sequence[Metric]) -> str:
    """Returns the metrics in the text format of Prometheus."""
    return str(client("exposition").generate_latest(Collected(metrics)).decode())


class Collected:
    """A collector of given metrics, for prometheus_client."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Returns the metrics."""
        return self._metrics


def _counter(name: str, text: str, totals: Sequence[Total]) -> Metric:
    family: Metric = client("core").CounterMetricFamily(name, text, value=sum(total.entries for total in totals))
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    family: Metric = client("core").GaugeMetricFamily(name, text, value=float(value))
    return family


def _durations(totals: Iterable[Total]) -> Metric:
    text = "Duration of the last attempt to apply a migration, by outcome."
    family = client("core").GaugeMetricFamily("migration_duration_seconds", text, labels=("version", "outcome"))
    for total in sorted(totals):
        family.add_metric((total.version, total.outcome), total.last_duration_ms / 1000)
    result: Metric = family
    return result


def _histogram(totals: Sequence[Total]) -> Metric:
    text = "Duration of migrations and rollbacks."
    family = client("core").HistogramMetricFamily("migration_duration_histogram_seconds", text, labels=("outcome",))
    for outcome in _OUTCOMES:
        selected = [total for total in totals if total.outcome == outcome]
        counts = [sum(total.buckets[number] for total in selected) for number in range(len(_BOUNDS))]
        seconds = sum(total.duration_ms for total in selected) / 1000
        family.add_metric((outcome,), list(zip(_BOUNDS, counts, strict=True)), seconds)
    result: Metric = family
    return result
