"""In files of random statements, a finding of level error is on a statement on which the server fails."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.lint import Level, lint
from tests.servers import Server, execute

SCHEMA = """
create table r (id int primary key, n int);
create table t (id int primary key, a int, r_id int references r, constraint t_a_key unique (a));
create table u (id int not null, t_id int not null references t on delete cascade, v text);
create table p (k int, v int) partition by list (k);
create table p1 partition of p for values in (1);
create table p2 partition of p for values in (2);
create table h (a int);
create table h1 () inherits (h);
create sequence s;
create table sq (n int default nextval('s'));
alter sequence s owned by sq.n;
create index p_v on p (v);
insert into r values (1, 1);
insert into t values (1, 1, 1), (2, null, null);
insert into u values (1, 1, 'x');
insert into p values (1, 1), (2, 2);
insert into h values (1);
insert into h1 values (2);
insert into sq values (1);
"""
# A column of each table, that of the schema or one that a random statement creates.
COLUMNS = {
    "r": "n",
    "t": "a",
    "u": "v",
    "p": "v",
    "p1": "v",
    "p2": "v",
    "h": "a",
    "h1": "a",
    "sq": "n",
} | dict.fromkeys("xy", "b")
STATEMENTS = """
truncate {t}; | truncate only {t}; | truncate {t} cascade; | truncate {t}, {u}; | delete from {t};
delete from only {t}; | delete from {t} where {c} is null; | delete from {t} where true;
insert into {t} default values; | insert into {t} ({c}) values (null); | insert into {t} ({c}) values ('5');
insert into {t} values (7, null); | insert into {t} values (1, 8); | insert into {t} select 1, null;
insert into {t} select * from {u}; | insert into {t} ({c}) select {c} from {t}; | insert into p values (3, null);
update {t} set {c} = null; | update only {t} set {c} = '3'; | update {t} set {c} = '3' where {c} is null;
alter table {t} add column c int not null; | alter table {t} add column c text not null default null;
alter table {t} add column d int; | alter table {t} add column d int default 3;
alter table {t} alter column d set not null; | alter table {t} alter column {c} set not null;
alter table {t} add constraint nn check ({c} is not null); | alter table {t} validate constraint nn;
alter table {t} add constraint nn check ({c} is not null) not valid; | alter table {t} add primary key ({c});
alter table {t} drop column {c}; | alter table {t} rename column {c} to z; | alter table {t} rename to y;
alter table {t} rename to x; | alter table {t} set schema z; | create schema z; | create table x (a int, b int);
create table y (a int, b int default 1); | create table x as select 1 as a, null::int as b;
create table x as select * from {t}; | create table y (like {t}); | drop table {t}; | drop table {t} cascade;
alter table p detach partition p1; | alter table p attach partition p1 for values in (1);
create table p3 partition of p for values in (3); | create sequence s; | create sequence s owned by {t}.{c};
alter sequence s owned by {t}.{c}; | alter sequence s owned by none; | alter sequence s rename to s2;
create sequence s2; | drop sequence s cascade; | drop sequence if exists s; | drop index if exists {t}_pkey;
drop index {t}_pkey; | alter table {t} drop constraint if exists {t}_pkey; | drop index if exists t_a_key;
alter table {t} drop constraint {t}_pkey cascade; | alter table t drop constraint t_a_key; | drop index p_v;
drop index if exists p1_v_idx; | alter table {t} rename constraint {t}_pkey to k;
alter index if exists {t}_pkey rename to k; | savepoint a; | rollback to savepoint a;
do $$ begin delete from {t}; end $$; | do $$ begin if false then delete from {t}; end if; end $$;
create trigger g before insert on {t} for each row execute function suppress_redundant_updates_trigger();
"""
CHOICES = [choice.strip() for line in STATEMENTS.strip().splitlines() for choice in line.split(" | ")]


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection]:
    execute(server.conninfo, "create database random_files")
    with psycopg.connect(server.database("random_files")) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
        yield connection
        connection.rollback()
    execute(server.conninfo, "drop database random_files with (force)")


def random_file(numbers: random.Random, connection: psycopg.Connection) -> tuple[list[str], int]:
    """Returns statements, and the number of the last one if the server fails on it, or else the number after it."""
    statements: list[str] = []
    for _ in range(30):
        table = numbers.choice([*COLUMNS])
        other = numbers.choice([*COLUMNS])
        statement = numbers.choice(CHOICES).format(t=table, u=other, c=COLUMNS[table])
        connection.execute("savepoint before")
        try:
            connection.execute(statement.encode())
        except psycopg.Error:
            connection.execute("rollback to savepoint before")
            if numbers.random() > 0.9 and not statement.startswith("rollback"):
                return [*statements, statement], len(statements) + 1
        else:
            statements.append(statement)
    return statements, len(statements) + 1


@pytest.mark.parametrize("seed", range(100))
def test_an_error_is_one_of_the_server(seed: int, connection: psycopg.Connection, tmp_path: Path) -> None:
    statements, fails_at = random_file(random.Random(seed), connection)
    connection.rollback()
    (tmp_path / "V1.0.0-001__schema.up.sql").write_text(SCHEMA)
    file = tmp_path / "V1.0.0-002__random.up.sql"
    file.write_text("\n".join(statements) + "\n")
    findings = [finding for finding in lint([str(file)]) if finding.level is Level.ERROR]
    assert all((finding.location.line or 0) >= fails_at for finding in findings), (statements, findings)
