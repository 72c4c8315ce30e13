"""What PostgreSQL's versions do differently, as far as the tests see it: the one place for it."""

from __future__ import annotations

# Parts of statements, with the first major version whose grammar has them.
SYNTAX = {
    "merge into": 15,
    "numeric(3,-2)": 15,
    "set access method": 15,
    "for tables in schema": 15,
    "(id, note) where": 15,  # columns and rows of a publication
    "nulls not distinct": 15,
    "set expression": 17,
    " virtual": 18,
    " not enforced": 18,
    "add not null": 18,
    "not null total": 18,  # as a table constraint
    "constraint nn not null": 18,
    "constraint n not null": 18,
    "constraint c not null": 18,
    "uuidv7": 18,
}
# Functions of pg_catalog, with the first major version that has them.
FUNCTIONS = {
    "any_value": 16,
    "array_sample": 16,
    "array_shuffle": 16,
    "crc32": 18,
    "erf": 16,
    "regexp_count": 15,
    "regexp_instr": 15,
    "regexp_like": 15,
    "regexp_substr": 15,
    "uuidv4": 18,
    "uuidv7": 18,
}
# Settings, with the first major version that has them.
SETTINGS = {"transaction_timeout": 17}
# GRANT and REVOKE lock their objects.
GRANT_LOCKS = 18
# The tables and types of the statements in RUNS.
TABLES = """
create table t (a int not null, b int, ts timestamptz, txt text, id int primary key);
create table p (a int not null) partition by list (a); create index pi on p (a);
create table r (x int, y int, primary key (x, y));
create table par (a int not null); create table chi () inherits (par); create sequence s; create domain d as int;
create materialized view m as select 1 as a;
"""
# The first and the last version that run a statement.
RUNS = {
    "merge into t using (values (1)) s (a) on t.a = s.a when matched then do nothing": (15, 18),
    "create unique index on t (a) nulls not distinct": (15, 18),
    "create view w with (security_invoker = true) as select 1 as a": (15, 18),
    "alter table t set access method heap": (15, 18),
    "create publication pu for tables in schema public": (15, 18),
    "create publication pu for table t where (a > 0)": (15, 18),
    "create unlogged sequence w": (15, 18),
    "alter sequence s set unlogged": (15, 18),
    "alter sequence s set logged": (15, 18),
    "select regexp_count('a', 'a')": (15, 18),
    "create view w as select regexp_like('a', 'a') as b": (15, 18),
    "select regexp_substr('a', 'a'), regexp_instr('a', 'a')": (15, 18),
    "create table w (a numeric(3, 5))": (15, 18),
    "alter table t add column n numeric(5, -2)": (15, 18),
    "create table w (x int, y int, foreign key (x, y) references r on delete set null (y))": (15, 18),
    "cluster p using pi": (15, 18),
    "set stats_fetch_consistency = 'none'": (15, 18),
    "set recursive_worktable_factor = 5": (15, 18),
    "select any_value(a) from t": (16, 18),
    "select array_sample(array[1, 2], 1), array_shuffle(array[1])": (16, 18),
    "select random_normal(), erf(1), erfc(1)": (16, 18),
    "update t set ts = date_add(ts, interval '1 day') where a = 1": (16, 18),
    "select pg_input_is_valid('1', 'integer')": (16, 18),
    "select * from (select 1 as a)": (16, 18),
    "create view w as select a from (select 1 as a)": (16, 18),
    "create table w (a text storage external)": (16, 18),
    "alter table t alter txt set storage default": (16, 18),
    "create statistics on a, b from t": (16, 18),
    "select json_array(1, 2)": (16, 18),
    "select json_object('a': 1)": (16, 18),
    "select '{}' is json": (16, 18),
    "create table w (a text check (a is json object))": (16, 18),
    "select json_objectagg('a': 1), json_arrayagg(1)": (16, 18),
    "set vacuum_buffer_usage_limit = '1MB'": (16, 18),
    "vacuum (buffer_usage_limit '1MB') t": (16, 18),
    "vacuum (skip_database_stats) t": (16, 18),
    "set createrole_self_grant = ''": (16, 18),
    "select system_user": (16, 18),
    "select json_value('{\"a\": 1}', '$.a')": (17, 18),
    "select json_query('{}', '$'), json_exists('{}', '$')": (17, 18),
    "select * from json_table('[1]', '$[*]' columns (a int path '$')) x": (17, 18),
    "select json_scalar(1), json('{}'), json_serialize('{}')": (17, 18),
    "merge into t using (values (1)) s (a) on t.a = s.a when not matched by source then do nothing": (17, 18),
    "merge into t using (values (1)) s (a) on t.a = s.a when matched then delete returning t.a": (17, 18),
    "select random(1, 10)": (17, 18),
    "create table w (a int default random(1, 10))": (17, 18),
    "select random()": (14, 18),
    "select to_bin(5), to_oct(5)": (17, 18),
    "select uuid_extract_version(gen_random_uuid())": (17, 18),
    "select unicode_version(), unicode_assigned('a')": (17, 18),
    "alter table t alter a set statistics default": (17, 18),
    "create table w (a int, exclude using btree (a with =)) partition by list (a)": (17, 18),
    "alter table p add exclude using btree (a with =)": (17, 18),
    "alter table p set access method heap": (17, 18),
    "alter domain d add constraint nn not null": (17, 18),
    "select ts at local from t": (17, 18),
    "set transaction_timeout = 0": (17, 18),
    "set local event_triggers = off": (17, 18),
    "create index on t (date_trunc('day', ts, 'UTC'))": (16, 18),
    "alter table t add column g int generated always as (a) virtual": (18, 18),
    "create table w (a int, g int generated always as (a))": (18, 18),
    "alter table t add constraint nn not null b not valid": (18, 18),
    "create table w (a int, constraint nn not null a)": (18, 18),
    "alter table t add constraint c check (a > 0) not enforced": (18, 18),
    "create table w (a uuid default uuidv7())": (18, 18),
    "select array_sort(array[2, 1]), array_reverse(array[2, 1])": (18, 18),
    "select casefold('A')": (18, 18),
    "select crc32('a'), crc32c('a')": (18, 18),
    "select gamma(1), lgamma(1)": (18, 18),
    "update t set b = 1 where a = 1 returning old.b, new.b": (18, 18),
    "insert into t (a, id) values (1, 9) returning new.a": (18, 18),
    "delete from t where a = 1 returning old.a": (18, 18),
    "update t as old set b = 1 where a = 1 returning old.b": (14, 18),
    "copy m to '/dev/null'": (18, 18),
    "alter table t drop constraint t_a_not_null": (18, 18),
    "alter table t rename constraint t_a_not_null to nn": (18, 18),
    "vacuum only t": (18, 18),
    "analyze only t": (18, 18),
    "set vacuum_truncate = on": (18, 18),
    "create unlogged table w (a int) partition by list (a)": (14, 17),
    "alter table p set unlogged": (14, 17),
    "alter table p set logged": (14, 17),
    "alter table chi alter a drop not null": (14, 17),
    "create table w (a int, g int generated always as (a) stored)": (14, 18),
    "create view w as select 1 as a": (14, 18),
    "select to_char(ts, 'YYYY') from t": (14, 18),
    "select * from (select 1 as a) x": (14, 18),
    "create table w (a numeric(5, 2))": (14, 18),
    "set work_mem = '8MB'": (14, 18),
}


def has_syntax(version: int, statement: str) -> bool:
    """Whether the grammar of a major version has all parts of a statement."""
    return all(version >= since for part, since in SYNTAX.items() if part in statement)


def later_functions(version: int) -> set[str]:
    """The functions that a major version does not have."""
    return {name for name, since in FUNCTIONS.items() if version < since}
