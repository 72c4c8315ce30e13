"""Any file that psql runs, sqlmigrate runs, to the same end; what it won't run it refuses before anything is sent."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.project import Project
from tests.servers import Server, execute

_numbers = itertools.count()

TABLE = """create table t (id int primary key, a int, b text);
insert into t select g, g, 'b' || g from generate_series(1, 50) g;
"""

# Name -> the files, in order. `@db` stands for the database's name, which differs between the two runs.
ROWS: dict[str, tuple[str | bytes, ...]] = {
    "two CONCURRENTLY in a file": (
        TABLE
        + """create index concurrently t_a on t (a);
create unique index concurrently if not exists t_b on t (b);
comment on index t_b is 'made';
drop index concurrently t_a;""",
    ),
    "VACUUM": (
        TABLE
        + """vacuum t;
vacuum (analyze, verbose) t;
analyze t;
insert into t values (0, 0, 'after');""",
    ),
    "VACUUM of everything, first in the file": (
        TABLE,
        """vacuum analyze;
alter table t add column c int default 7;""",
    ),
    "REINDEX CONCURRENTLY": (
        TABLE
        + """create index t_a on t (a);
reindex index concurrently t_a;
reindex (verbose) table concurrently t;
reindex table t;
reindex schema public;
reindex database @db;
""",
    ),
    "DETACH PARTITION CONCURRENTLY": (
        """create table p (id int, at date not null) partition by range (at);
create table p_1 partition of p for values from ('2024-01-01') to ('2025-01-01');
create table p_2 partition of p for values from ('2025-01-01') to ('2026-01-01');
insert into p values (1, '2024-06-01'), (2, '2025-06-01');
alter table p detach partition p_1 concurrently;
alter table p_1 add column note text;""",
    ),
    "an enum's value is added and used": (
        """create type mood as enum ('sad');
create table person (mood mood);""",
        """alter type mood add value 'glad';
alter type mood add value if not exists 'mad' before 'sad';
insert into person values ('glad'), ('mad');
alter table person alter column mood set default 'glad';""",
    ),
    "BEGIN ATOMIC": (
        TABLE
        + """create function f(x int) returns int language sql begin atomic
  select case when x > 1 then x else case x when 0 then 1 end end;
  select a as "end" from t where id = x;
end;
create or replace procedure p(x int) language sql
BEGIN  /* ; */ ATOMIC
  insert into t values (x, x, 'begin; end');
  update t set a = 0 where id = x;
END;
call p(1000);
create function g() returns int language sql return 1 + 1;
select f(2), g();""",
    ),
    "nested dollar quotes": (
        """create function f() returns text language plpgsql as $outer$
begin
  execute $inner$ create table made (a text default $$x;y$$); $inner$;
  return $a$ it's $$ ; $a$ || $$ $1 $b$ ; $$;
end $outer$;
select f();
create table f$1 (a$b int, _$ text default '$$;');
insert into f$1 values (1, $é$ ;' $é$);""",
    ),
    "nested comments": (
        """/* a /* b ; ' */ $$ */ create /* ; */ table t ( -- ; '
  a int, /*/* */ ; */ b text default '--', c text default '/*'
); -- '
/**/ ; ; /***/ insert into t values (1 /* ' */, '/* x */', '-- y'); --""",
    ),
    "strings of every kind": (
        r"""create table t (a text, "b;""c" text);
insert into t values ('a;''b', E'a\'; \\'), ('C:\', e'\x41;'), (U&'d\0061t;', 'one'
'two;' /* no */), (N'n;', b'101'::text), (x'1F'::text, null) on conflict do nothing;
select * from t where "b;""c" like '%;';""",
    ),
    "SET ROLE": (
        """grant create on schema public to like_psql_writer;
set role like_psql_writer;
create table t (a int);
insert into t values (1);
reset role;
create table u (a int);""",
    ),
    "SET ROLE, for good": (
        """create schema s authorization like_psql_writer;
set role like_psql_writer;
create table s.t (a int);
create index concurrently t_a on s.t (a);
create table s.u (a int);""",
        "create table public.t (a int);",
    ),
    "SET SESSION AUTHORIZATION": (
        """create schema s authorization like_psql_writer;
set session authorization like_psql_writer;
create table s.t (a int);
reset session authorization;
create table public.t (a int);""",
        """set session authorization 'like_psql_writer';
create table s.u (a int);
vacuum s.u;
create table s.v (a int);""",
        "create table public.v (a int);",
    ),
    "an emptied search_path": (
        """select pg_catalog.set_config('search_path', '', false);
set row_security = off;
create table public.t (a int);
vacuum public.t;
insert into public.t values (1);""",
        "create table u (a int);",
    ),
    "own BEGIN and COMMIT around everything": ("-- head\nBEGIN;\n" + TABLE + "COMMIT;\n-- tail\n",),
    "several blocks, with options": (
        "begin isolation level repeatable read;\n"
        + TABLE
        + """end;
start transaction isolation level serializable, read write;
update t set a = 0;
commit work;
begin transaction;
begin;
insert into t values (0);
commit;
BEGIN WORK ; DELETE FROM t WHERE id = 5 ; END TRANSACTION ;""",
    ),
    "statements before, between and after the blocks": (
        TABLE
        + """begin;
alter table t add column c int;
commit;
vacuum t;
update t set c = a;
begin;
drop table t;
create table u (a int);
commit;
insert into u values (1);""",
    ),
    "a DO block that commits": (
        TABLE
        + """do $$ begin for i in 1..3 loop insert into t values (100 + i); commit; end loop; end $$;
insert into t values (200);""",
    ),
    "a CALL of a procedure that commits": (
        TABLE
        + """create procedure p() language plpgsql as $$ begin
  update t set a = 1; commit; update t set b = 'x'; rollback;
  delete from t where id > 10;
end $$;
call p();
insert into t values (200);""",
        "call p();",
    ),
    "ALTER TABLE behind pending trigger events": (
        """create table parent (id int primary key);
create table child (id int, parent int references parent deferrable initially deferred);
insert into parent values (1);
insert into child values (1, 1);
alter table child add column note text;
update child set parent = 1, note = 'x';
alter table child alter column note set not null;""",
    ),
    "deferred constraints that hold at the end": (
        """create table a (id int primary key, b int);
create table b (id int primary key, a int references a);
alter table a add foreign key (b) references b deferrable initially deferred;
begin;
insert into a values (1, 1);
insert into b values (1, 1);
commit;
begin;
set constraints all deferred;
insert into a values (2, 2);
insert into b values (2, 2);
commit;""",
    ),
    "a BOM": (b"\xef\xbb\xbf-- head\ncreate table t (a int);", b"\xef\xbb\xbfinsert into t values (1);"),
    "only a BOM": (b"\xef\xbb\xbf", "create table t (a int);"),
    "CRLF, also in function bodies and COPY data": (
        """create table t (a int, b text);
insert into t values (0, 'x
y');
copy t from stdin;
1\tone
2\t\\N
\\.
create function f() returns int language plpgsql as $$
begin
  return 1;
end
$$;
-- tail
""".replace("\n", "\r\n"),
    ),
    "no newline at the end": (
        """create table t (a int);
insert into t values (1)""",
        "insert into t values (2);",
    ),
    "a comment at the end without a newline": (
        "create table t (a int) -- no semicolon",
        "insert into t values (1); /* x */",
    ),
    "nothing but comments": (
        "-- nothing\n/* at /* all */ */\n",
        "create table t (a int);",
    ),
    "an empty file": (
        "",
        " \n\t\n",
        ";;\n;",
        "create table t (a int);",
    ),
    "non-ASCII names and data": (
        """create table "Größe" (id int primary key, naïve text, "名前" text default 'ß', été int);
insert into "Größe" values (1, '🐘 % ё', '日本', 1);
COPY "Größe" (id, naïve, "名前") FROM STDIN;
2\tпривет\t名\\t前
\\.
comment on table "Größe" is 'Maße';
create index concurrently "índice" on "Größe" (été);""",
    ),
    "percent signs and $1": (
        TABLE
        + """prepare q (int) as select a % 10, $1 from t where b like 'b1%' and a %2 = $1;
execute q(1);
deallocate q;
create function f(int, text) returns text language sql as 'select format(''%s %% %1$s %I'', $1, $2)';
update t set b = format('%s%%', a) where a % 2 = 0;
select f(1, '%(x)s {x} {{ :x ?');""",
    ),
    "colons and question marks": (
        """create table t (a int[] default array[1, 2, 3], j jsonb);
insert into t (j) values ('{"a:b": ":x"}'::jsonb);
update t set a = a[1:2] where j ? 'a:b' and j ?| array['a:b'];""",
    ),
    "COPY as CSV, with options": (
        r"""create table t (a int, b text, c text);
copy t (a, b, c) from stdin with (format csv, header true, delimiter ';', null 'NIL', quote '''', force_null (c));
a;b;c
1;'x;

"y''';NIL
2;\;'NIL'
3;;
\.
copy t from stdin csv;
4,"multi
line;",\N
\.
copy t from stdin delimiter '|' null as '';
5|a\|b|
\.
select count(*) from t;""",
    ),
    "COPY with zero rows": (
        r"""create table t (a int);
copy t from stdin;
\.
COPY public.t (a) FROM STDIN;
\.
insert into t values (1);""",
    ),
    "two COPY in a file, statements behind": (
        """create table t (a int, b text);
create table "from stdin" (a int);
copy t from stdin; -- comment
1\t;'$$
2\t/* \\\\.
\\.

copy "from stdin" from stdin with (format text);
1
\\.
update t set b = 'x' where a = 1;
copy t (b, a) from stdin where a > 1;
z\t1
y\t2
\\.
insert into t values (9, '9');""",
    ),
    "COPY in a block of its own, and between parts": (
        r"""create table t (a int);
begin;
copy t from stdin;
1
\.
commit;
vacuum t;
copy t from stdin;
2
\.
vacuum t;""",
    ),
    "COPY to stdout": (
        TABLE
        + """copy t to stdout;
copy (select a from t order by a) to stdout with csv header;
insert into t values (0);""",
    ),
    "a rule with several actions": (
        TABLE
        + """create table log (id int, what text);
create view v as select * from t;
create rule r as on insert to v do instead (
  insert into t values (new.id, new.a, new.b); insert into log values (new.id, ';'););
insert into v values (99, 9, 'v');""",
    ),
    "DO ALSO rules": (
        TABLE
        + """create table log (id int);
create rule r as on insert to t do also insert into log values (new.id);
insert into t values (99);
insert into t values (100);
create rule n as on delete to t do also (notify gone; select 1);
delete from t where id = 1;""",
    ),
    "temporary tables": (
        """create temp table x as select 1 as a;
create table t as select * from x;
vacuum t;
insert into t select a + 1 from x;
begin;
create temp table y on commit drop as select 5 as a;
insert into t select a from y;
commit;""",
        """create temp table x as select 7 as a;
insert into t select * from x;""",
    ),
    "SET LOCAL in a block": (
        """create schema s;
begin;
set local search_path = s;
create table t (a int);
commit;
create table u (a int);""",
    ),
    "SAVEPOINT and ROLLBACK TO": (
        """begin;
create table t (a int);
savepoint x;
insert into t values (1);
rollback to savepoint x;
insert into t values (2);
savepoint y;
rollback to y;
release y;
ROLLBACK WORK TO SAVEPOINT x;
insert into t values (3);
commit;""",
    ),
    "LISTEN and NOTIFY": (
        TABLE
        + """listen c;
notify c, 'x;y';
select pg_notify('c', 'z');
unlisten c;
listen d;
notify d;""",
    ),
    "PREPARE and EXECUTE, across parts": (
        TABLE
        + """prepare ins (int, text) as insert into t values ($1, $1, $2);
execute ins(101, 'x');
vacuum t;
execute ins(102, 'y');""",
        "prepare ins as select 1;\nexecute ins;",
    ),
    "cursors": (
        TABLE
        + """begin;
declare c cursor for select * from t;
fetch 3 from c;
move c;
update t set a = -1 where current of c;
close c;
commit;
declare d cursor with hold for select 1;
fetch all from d;
create table u (a int);""",
        """declare d cursor with hold for select 2;
fetch d;""",
    ),
    "SELECTs with many rows": (
        """select g, repeat('x', 20) from generate_series(1, 50000) g;
create table t as select 1 as a;
select;""",
    ),
    "SET TRANSACTION ISOLATION LEVEL": (
        """begin;
set transaction isolation level serializable;
"""
        + TABLE
        + """commit;
begin transaction read write;
set transaction isolation level repeatable read, deferrable;
update t set a = 1;
commit;""",
    ),
    "SET TRANSACTION outside a block, where it only warns": (
        TABLE
        + """set transaction isolation level serializable;
update t set a = 1;""",
    ),
    "set_config": (
        """create schema s;
select set_config('search_path', 's', false);
create table t (a int);
vacuum t;
create table u (a int);
select set_config('my.x', 'y', false);
create table v as select current_setting('my.x') as x;""",
        "create table w as select coalesce(current_setting('my.x', true), '') as x;",
    ),
    "standard_conforming_strings = off": (
        r"""create table t (a text);
set standard_conforming_strings = off;
set escape_string_warning to off;
insert into t values ('it\'s; ok'), ('a\\b');
set standard_conforming_strings = on;
insert into t values ('C:\');""",
        "insert into t values ('D:\\');",
        r"""SET standard_conforming_strings TO 'off';
insert into t values ('\';');""",
        "insert into t values ('E:\\');",
    ),
    "session settings used across parts": (
        """create schema s;
set search_path to s, public;
set default_toast_compression = 'pglz';
set datestyle = 'sql, dmy';
set timezone = 'Asia/Tokyo';
create table t (a date default '03/04/2024', b timestamptz);
create index concurrently t_a on t (a);
insert into t values (default, '2024-01-01 00:00'), ('05/06/2024', '01/02/2024 03:04');
create index concurrently on t (b);
reset search_path;
create table u (a int);
vacuum u;
create table v (a int);""",
        "create table t (a date default '03/04/2024');",
    ),
    "psql commands that only steer psql": (
        r"""\set ON_ERROR_STOP on
\set QUIET 1
\echo hello; 'world
\timing on
\pset pager off
create table t (a int);
\encoding UTF8
\qecho x
insert into t values (1);
\echo done""",
    ),
    "notices and warnings": (
        """drop table if exists nothing;
do $$ begin raise notice 'hello %', 1; raise warning 'w'; raise info 'i'; end $$;
create table t (a int);
create table if not exists t (b int);
""",
    ),
    "ALTER SYSTEM": (
        TABLE
        + """alter system set cursor_tuple_fraction = 0.2;
insert into t values (0);
alter system reset cursor_tuple_fraction;""",
    ),
    "CREATE DATABASE": (
        TABLE
        + """create database @db_child;
insert into t values (0);
alter database @db_child set work_mem = '8MB';
drop database @db_child;""",
    ),
    "ALTER DATABASE of the database itself": (
        """create schema s;
alter database @db set search_path = s, public;
create table t (a int);""",
    ),
    "triggers, views and grants": (
        TABLE
        + """create function stamp() returns trigger language plpgsql as
$$ begin new.b := 'by; trigger'; return new; end; $$;
create trigger t_stamp before insert or update on t
for each row when (new.a is distinct from 3) execute function stamp();
insert into t values (99, 1), (100, 3);
create materialized view m as select count(*) from t with no data;
refresh materialized view m;
create recursive view r (n) as values (1) union all select n + 1 from r where n < 5;
grant select (a), update on t to like_psql_writer;
alter default privileges grant select on tables to like_psql_writer;
create table u (a int generated always as identity, b int generated always as (1 + 1) stored);
insert into u default values;""",
    ),
    "an event trigger that forbids to drop tables": (
        """create function forbid() returns event_trigger language plpgsql as $$ begin
  if exists (select from pg_event_trigger_dropped_objects() where not is_temporary) then raise 'no'; end if;
end $$;
create event trigger forbid on sql_drop execute function forbid();
create temp table x (a int);
create table t (a int);""",
        """create temp table x (a int);
create table u (a int);""",
    ),
    "bodies as strings": (
        r"""create function f() returns int language sql as 'select 1; select 2; -- ''x''
 select 3';
create function g() returns int language plpgsql as E'begin\n return 1; -- \';\nend';
select f(), g();""",
    ),
    "LOCK, TRUNCATE and CLUSTER": (
        TABLE
        + """begin;
lock table t in access exclusive mode;
truncate t;
commit;
insert into t values (2), (1);
cluster t using t_pkey;
cluster;
insert into t values (0);""",
    ),
    "names that are keywords": (
        """create table "begin" ("end" int, "commit" int);
create function begin() returns int language sql as 'select 1';
create table atomic (begin int, commit text, language text);
insert into atomic values (1, 'commit;', 'rollback;');
select begin, commit from atomic;
update atomic set commit = 'x';""",
    ),
    "statements on one line": (
        TABLE.replace("\n", " ")
        + "vacuum t; create table u (a int); insert into u values (1); vacuum u; drop table t;",
    ),
}

DETAILS = """
select 'owner', relname::text, relowner::regrole::text from pg_class join pg_namespace n on n.oid = relnamespace
where nspname !~ '^pg_' and nspname <> 'information_schema' and relname !~ '^migrations'
union all select 'body', proname::text, prosrc from pg_proc join pg_namespace n on n.oid = pronamespace
where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1, 2, 3
"""


@pytest.fixture
def twin(server: Server) -> Iterator[str]:
    """The database that psql gets."""
    name = f"twin_{os.getpid()}_{next(_numbers)}"
    role = "begin create role like_psql_writer; exception when duplicate_object or unique_violation then null; end"
    execute(server.conninfo, f"do $$ {role} $$", f"create database {name}")
    yield server.database(name)
    execute(server.conninfo, f"drop database {name} with (force)")


def named(content: str | bytes, conninfo: str) -> str | bytes:
    return (
        content.replace("@db", execute_value(conninfo, "select current_database()"))
        if isinstance(content, str)
        else content
    )


def execute_value(conninfo: str, statement: str) -> str:
    return str(execute(conninfo, statement)[0][0])


def psql(project: Project, conninfo: str, contents: tuple[str | bytes, ...]) -> None:
    for number, content in enumerate(contents):
        path = project.root / f"{number}.sql"
        text = named(content, conninfo)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = project.server.psql(conninfo, "-o", os.devnull, "-f", str(path))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ROWS)
def test_sqlmigrate_leaves_the_same_database_as_psql(project: Project, twin: str, name: str) -> None:
    contents = ROWS[name]
    psql(project, twin, contents)
    for number, content in enumerate(contents, 1):
        project.add(number, named(content, project.database))

    assert len(project.migrator().migrate().steps) == len(contents)

    assert project.schema() == project.server.schema(twin)
    assert project.query(DETAILS) == execute(twin, DETAILS)
    assert [success for _, success in project.versions()] == [True] * len(contents)
    assert project.migrator().check().up_to_date


@pytest.mark.parametrize("name", [name for name, files in ROWS.items() if len(files) > 1])
def test_each_file_alone_leaves_the_same_database_as_psql(project: Project, twin: str, name: str) -> None:
    """Each file in a run of its own: what travelled together above goes alone here."""
    contents = ROWS[name]
    psql(project, twin, contents)
    for number, content in enumerate(contents, 1):
        project.add(number, named(content, project.database))
        assert len(project.migrator().migrate().steps) == 1

    assert project.schema() == project.server.schema(twin)


RICH = """
create schema app;
create type app.level as enum ('low', 'high');
create domain app.code as text check (value ~ '^[a-z;]+$');
create table app.item (id bigint generated by default as identity primary key,
                       code app.code, level app.level default 'low',
                       note text, data jsonb, at timestamptz default now(), raw bytea, "Größe" numeric);
insert into app.item (code, level, note, data, at, raw, "Größe") values
    ('a;b', 'high', E'tab\\t new\\nline \\\\ back', '{"a": [1, "%s $1"]}', '2024-01-01', '\\x00ff', 1.5),
    (null, 'low', '\\.', null, '2024-01-02', null, null), ('c', 'low', 'ß 🐘', '[]', '2024-01-03', '', 'nan');
create table app.nothing (a int);
create table app.part (id int, at date) partition by range (at);
create table app.part_1 partition of app.part for values from ('2024-01-01') to ('2025-01-01');
create table app.child (item bigint references app.item on delete cascade deferrable, check (item > 0));
insert into app.child values (1), (2);
create index on app.item (lower(note)) where note is not null;
create view app.v as select id, note from app.item;
create materialized view app.m as select count(*) as n from app.item;
create function app.f(x int) returns int language plpgsql as $_$ begin return x; -- $$ ;
end $_$;
create function app.g(x int) returns int begin atomic select case when x > 0 then 1 else 2 end; end;
create function app.touch() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger touch before update on app.item for each row execute function app.touch();
create rule quiet as on delete to app.nothing do instead (select 1; select 2);
create policy mine on app.item using (id > 0);
alter table app.item enable row level security;
comment on table app.item is 'it''s; "fine"';
grant select on app.item to public;
select lo_from_bytea(4711, 'large; object');
"""


@pytest.mark.parametrize(
    "options", ["", "--inserts", "--column-inserts --rows-per-insert=2", "--clean --if-exists", "--disable-triggers"]
)
def test_a_dump_is_a_migration(project: Project, twin: str, options: str) -> None:
    source = f"{execute_value(twin, 'select current_database()')}_source"
    execute(twin, f"create database {source}")
    try:
        origin = project.server.database(source)
        execute(origin, *[RICH])
        text = project.server.dump(origin, *options.split())
        psql(project, twin, (text,))
        project.add(1, text)
        project.add(2, "create table behind (a int);")

        project.migrator().migrate()

        project.query("drop table behind")
        assert project.schema() == project.server.schema(twin) == project.server.schema(origin)
    finally:
        execute(twin, f"drop database {source}")


def test_a_current_dump_contains_restrict(project: Project) -> None:
    project.add(
        1,
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict aB3\n\nSET client_encoding = 'UTF8';\n"
        "create table t (a int);\n\n\\unrestrict aB3\n",
    )

    project.migrator().migrate()

    assert project.value("select count(*) from t") == 0
