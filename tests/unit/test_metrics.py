from __future__ import annotations

import math
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from sqlmigrate.history.log import BOUNDS, Reading, Total
from sqlmigrate.metrics.families import exposition, families, labelled, up
from tests.prometheus import samples

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def total(
    action: str, version: str, outcome: str, entries: int = 1, took: int = 0, buckets: list[int] | None = None
) -> Total:
    counts = buckets or [0] * (len(BOUNDS) + 1)
    return Total(action, version, outcome, entries, took * entries, NOON, took, counts)


def told(*totals: Total, pending: int = 0, lock_held: bool = False) -> dict[str, float]:
    return dict(samples(families(Reading(lock_held, [], list(totals)), pending)))


def test_all_metrics_exist_before_the_first_run() -> None:
    seen = told(pending=3, lock_held=True)
    assert seen["migration_up"] == seen["migration_lock_held"] == 1
    assert seen["migration_pending"] == 3
    others = {key: value for key, value in seen.items() if key not in ("migration_up", "migration_lock_held")}
    assert {value for key, value in others.items() if key != "migration_pending"} == {0}
    assert "migration_duration_histogram_seconds_bucket failure +Inf" in seen


def test_each_outcome_is_counted_in_its_metric() -> None:
    seen = told(
        total("apply", "v1.0.0-001", "success", 2),
        total("apply", "v1.0.0-002", "success", 3),
        total("apply", "v1.0.0-002", "failure", 5),
        total("rollback", "v1.0.0-001", "success", 7),
        total("rollback", "v1.0.0-001", "failure", 11),
        total("hook", "before_migrate", "success", 13),
        total("hook", "before_migrate", "failure", 17),
        total("baseline", "v1.0.0-003", "success", 19),
        total("unlock", "", "success", 23),
    )
    assert seen["migration_success_total"] == 5
    assert seen["migration_failure_total"] == 33
    assert seen["migration_rollback_total"] == 7
    assert seen["migration_last_success_timestamp_seconds"] == NOON.timestamp()


def test_the_last_duration_is_that_of_the_last_apply() -> None:
    seen = told(
        total("apply", "v1.0.0-001", "success", 2, 1500),
        total("apply", "v1.0.0-001", "failure", 1, 20),
        total("rollback", "v1.0.0-001", "success", 1, 9000),
        total("apply", "", "failure"),
    )
    durations = {key: value for key, value in seen.items() if key.startswith("migration_duration_seconds")}
    assert durations == {
        "migration_duration_seconds v1.0.0-001 success": 1.5,
        "migration_duration_seconds v1.0.0-001 failure": 0.02,
    }


def test_the_histogram_adds_up_migrations_and_rollbacks() -> None:
    first, second = list(range(1, len(BOUNDS) + 2)), [10] * (len(BOUNDS) + 1)
    seen = told(
        total("apply", "v1.0.0-001", "success", 14, 100, first),
        total("rollback", "v1.0.0-001", "success", 10, 5, second),
        total("hook", "before_migrate", "success", 1, 1, second),
    )
    name = "migration_duration_histogram_seconds"
    assert seen[f"{name}_bucket success 0.01"] == 11
    assert seen[f"{name}_bucket success 3600"] == 23
    assert seen[f"{name}_bucket success +Inf"] == seen[f"{name}_count success"] == 24
    assert math.isclose(seen[f"{name}_sum success"], 1.45)
    assert seen[f"{name}_count failure"] == 0


def test_without_a_database_the_only_metric_is_migration_up() -> None:
    assert samples(up(is_up=False)) == {"migration_up": 0}


def test_every_sample_has_the_common_labels_and_its_own() -> None:
    metrics = families(Reading(False, [], [total("apply", "v1.0.0-001", "success")]), 0)  # noqa: FBT003  # the fields of a row, in order
    shared = {"database": "app", "history_table": "public.migrations"}
    found = [sample.labels for family in labelled(metrics, shared) for sample in family.samples]
    assert all(labels.items() >= shared.items() for labels in found)
    assert {**shared, "version": "v1.0.0-001", "outcome": "success"} in found


def test_the_exposition_is_in_the_text_format_of_prometheus() -> None:
    metrics = families(Reading(False, [], [total("apply", 'R__a"\\\n', "success", 1, 7)]), 0)  # noqa: FBT003  # the fields of a row, in order
    assert samples(list(text_string_to_metric_families(exposition(metrics)))) == samples(metrics)
