"""The identity column of the log cannot give a next id: the error names it, with the statement that mends it."""

from __future__ import annotations

import pytest

from sqlmigrate.errors import MigrationFailed, RecordFailed
from tests.project import Project

BIG = 2**63 - 1
ALTER = "alter table migrations_log alter column id"


@pytest.mark.parametrize(
    ("change", "repair"),
    [
        (
            f"{ALTER} set maxvalue 2; select nextval('migrations_log_id_seq')",
            f"{ALTER} set maxvalue {BIG} set increment by 1",
        ),
        (
            "alter sequence migrations_log_id_seq as smallint; select setval('migrations_log_id_seq', 32767)",
            f"alter sequence migrations_log_id_seq as bigint maxvalue {BIG}",
        ),
        (f"{ALTER} drop identity; create sequence s; {ALTER} set default nextval('s')", f"{ALTER} set default 7"),
        (f"{ALTER} restart with {BIG}; select nextval('migrations_log_id_seq')", f"{ALTER} restart with 2"),
        (f"{ALTER} drop identity", f"{ALTER} add generated always as identity"),
    ],
)
def test_a_column_without_a_next_id_is_named(project: Project, change: str, repair: str) -> None:
    project.add(1, "create table t (a int)")
    project.migrator().migrate()
    project.query(*change.split("; "))
    project.add(2, "create table u (a int)")

    with pytest.raises(MigrationFailed) as failed:
        project.migrator().migrate()

    assert isinstance(failed.value.__cause__, RecordFailed)
    assert "public.migrations_log" in failed.value.hint
    assert "ALTER TABLE public.migrations_log ALTER COLUMN id" in failed.value.hint
    project.query(repair)
    assert len(project.migrator().migrate().steps) == 1
