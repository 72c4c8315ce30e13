from __future__ import annotations

from sqlmigrate.sql.classify import Sort, sort_of

ALONE = (
    "create index concurrently i on t (a);", "create unique index concurrently i on t (a)", "drop index concurrently i",
    "reindex index concurrently i",
    "reindex (concurrently) table t", "reindex database d", "reindex system d", "reindex schema s", "vacuum",
    "vacuum full t",
    "alter system set work_mem = 1", "create database d", "drop database d", "create tablespace t location 'x'",
    "drop tablespace t",
    "alter table t detach partition p concurrently", "ALTER TABLE t DETACH PARTITION p CONCURRENTLY;",
    "alter table t detach partition p concurrently -- done\n", "alter database d set tablespace t",
    "Create /* x */ Index\nConcurrently on t (a)",
)  # fmt: skip
ORDINARY = (
    "create index concurrent on t (a)", "create index i on concurrently (a)", "reindex table t",
    "alter table t detach partition p",
    "alter table t add concurrently int", "alter database d set work_mem = 1", "create table database (a int)",
    "select 'vacuum'",
    "-- vacuum", "begin_atomic", "start_it", "prepare p as select 1", "rollback to a", "rollback work to savepoint a",
    "end_of", "cluster",
    "discard temp", "set local work_mem = 1", "set transaction read only", "set constraints all deferred", "select 1",
    "start", "é", "",
)  # fmt: skip


def test_a_statement_that_a_transaction_block_refuses_runs_alone() -> None:
    assert [text for text in ALONE if sort_of(text)[0] is not Sort.ALONE] == []
    assert [text for text in ORDINARY if sort_of(text)[0] is not Sort.ORDINARY] == []
