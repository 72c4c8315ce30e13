"""What the rules of new columns and triggers say is what the server does."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sqlmigrate.lint import Options, lint
from tests.versions import has_syntax

OLD = "create table t (id int primary key, a int); insert into t values (1, 1);"
RULES = {"required-column", "required-by-constraint"}
# Migrations of table t (id, a), and whether an application that knows only these columns can still insert a row.
MIGRATIONS = {
    "alter table t add c int": True,
    "alter table t add c int; alter table t add check (c is not null) not valid": False,
    "alter table t add c int, add check (c is not null) not valid": False,
    "alter table t add c int; alter table t add check (c is not null and c > 0) not valid": False,
    "alter table t add c int; alter table t add check (c is not null or c > 0) not valid": True,
    "alter table t add c int; alter table t add check (c > 0) not valid": True,
    "alter table t add c int default 1; alter table t add check (c is not null) not valid": True,
    "alter table t add c int, add check (c is not null) not valid; alter table t alter c set default 1": True,
    "alter table t add c int; update t set c = id; alter table t alter c set not null": False,
    "alter table t add c int; update t set c = id; alter table t add constraint n check (c is not null)": False,
    "alter table t add c int; update t set c = id; alter table t drop constraint t_pkey, add primary key (c)": False,
    "alter table t add c int generated always as identity; alter table t add check (c is not null) not valid": True,
    "alter table t add c int generated always as (a) stored; alter table t add check (c is not null) not valid": True,
    "create domain d as int default 1; alter table t add c d not null": True,
    "alter table t add check (a is not null) not valid": True,
    "alter table t add c int; alter table t add constraint nn not null c not valid": False,
}


@pytest.mark.parametrize("migration", MIGRATIONS)
def test_an_old_insert_fails_where_a_rule_says_so(migration: str, database: str, tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__old.up.sql").write_text(OLD)
    file = tmp_path / "V1.0.0-002__new.up.sql"
    file.write_text(migration + ";")
    reported = {finding.rule for finding in lint([str(file)])} & RULES
    assert bool(reported) is not MIGRATIONS[migration]
    with psycopg.connect(database, autocommit=True) as connection:
        if not has_syntax(connection.info.server_version // 10_000, migration):
            return
        connection.execute(f"{OLD}{migration}".encode())
        if MIGRATIONS[migration]:
            connection.execute("insert into t (id, a) values (2, 2)")
        else:
            with pytest.raises(psycopg.errors.IntegrityError):
                connection.execute("insert into t (id, a) values (2, 2)")


TRIGGERS = {
    "create trigger g before insert on t for each row execute function f()": True,
    "create trigger g after insert or update on t for each statement execute function f()": True,
    "create constraint trigger g after insert on t deferrable for each row execute function f()": True,
    "create or replace trigger g after delete on t for each row execute function f()": True,
    "create trigger g before insert on p for each row execute function f()": True,
    "create trigger g instead of insert on v for each row execute function f()": False,
}
TABLES = (
    OLD + "create view v as select id from t; create table p (id int) partition by range (id); "
    "create function f() returns trigger language plpgsql as 'begin return new; end';"
)
LOCKED = """
    select 1 from pg_locks l join pg_class c on c.oid = l.relation
    where pid = pg_backend_pid() and c.relkind in ('r', 'p') and c.oid >= 16384 and mode = 'ShareRowExclusiveLock'
"""


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_create_trigger_blocks_writes_where_the_rule_says_so(trigger: str, database: str, tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__old.up.sql").write_text(TABLES)
    file = tmp_path / "V1.0.0-002__new.up.sql"
    file.write_text(trigger + ";")
    reported = {finding.rule for finding in lint([str(file)], options=Options("all"))}
    assert ("create-trigger" in reported) is TRIGGERS[trigger]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLES)
        with connection.transaction():
            connection.execute(trigger.encode())
            assert bool(connection.execute(LOCKED).fetchall()) is TRIGGERS[trigger]


# Expressions of table c, and whether their value changes with time, session or other rows.
CONDITIONS = {
    "ts < now()": True,
    "ts < current_timestamp": True,
    "ts <= clock_timestamp() + interval '5 min'": True,
    "day <= current_date": True,
    "day < localtimestamp::date": True,
    "who = current_user": True,
    "who = session_user": True,
    "who = current_setting('app.tenant', true)": True,
    "n < random()": True,
    "n < nextval('s')": True,
    "n < count_of(n)": True,
    "age > pg_backend_pid()": True,
    "id <> gen_random_uuid()": True,
    "ts < txid_current()::text::timestamptz": True,
    "n > 0": False,
    "ts < '2030-01-01'": False,
    "day between '2020-01-01' and '2030-01-01'": False,
    "lower(who) = who": False,
    "length(who) < 10 and who ~ '^a'": False,
    "n = steady(n)": False,
    "num_nonnulls(n, who) = 1": False,
    "who in ('now()', 'current_user')": False,
}
CHECKED = """
create table c (ts timestamptz, day date, who text, n bigint, age int, id uuid); create sequence s;
create function count_of(x bigint) returns bigint language plpgsql stable
    as 'begin return (select count(*) from c); end';
create function steady(x bigint) returns bigint language plpgsql immutable as 'begin return x; end';
"""


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_check_changes_where_the_server_refuses_an_index(condition: str, database: str, tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__old.up.sql").write_text(CHECKED)
    file = tmp_path / "V1.0.0-002__new.up.sql"
    file.write_text(f"alter table c add constraint k check ({condition}) not valid;")
    reported = "changing-check" in {finding.rule for finding in lint([str(file)])}
    assert reported is CONDITIONS[condition]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(CHECKED.encode())
        connection.execute(file.read_text().encode())
        index = f"create index on c (n) where {condition}".encode()
        if reported:
            with pytest.raises(psycopg.errors.InvalidObjectDefinition):
                connection.execute(index)
        else:
            connection.execute(index)
