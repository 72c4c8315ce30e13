"""psql's meta-commands, variables and settings: what psql does with them, sqlmigrate does, or refuses by place."""

from __future__ import annotations

import os

import pytest

from sqlmigrate.errors import MigrationFailed, PlanRefused, SqlMigrateError
from sqlmigrate.model import Problem
from tests.integration.test_like_psql import DETAILS, psql, twin
from tests.project import Project
from tests.servers import execute

__all__ = ["twin"]  # the fixture

# Name -> a file that psql runs.
ROWS = {
    "variables that psql sets": r"""
create table t (d text, u text, e text);
insert into t select count(*), count(:'USER'), :'ENCODING' from pg_database where datname = :'DBNAME';
alter database :DBNAME set work_mem = '5MB';
alter database :"DBNAME" set work_mem = '6MB';
create function f() returns text language sql return :'USER';
grant all on t to :"USER";
grant select on t to :USER;
create view v as select :SERVER_VERSION_NUM / 10000 > 13 as x, :PORT::int > 0 as p, length(:'HOST') > 0 as h;
""",
    "variables that the file sets": r"""
\set name 'it''s'
\set tab 'a b'
\set number 4
\set joined a 'b ' c :number
\set quoted :'name'
\set path 'C:\\x\ty'
create table :"tab" (id int, x text, y text default :'path');
insert into :"tab" values (:number, :'name'), (:number::int, :'joined'), (:number+1, :'quoted'), (1, :'none:');
\set number 5
insert into :"tab" values (:number, ':number ":number" :name'); -- :x /* :y */
insert into :"tab" values (/* :x */ 6, $$ :number :x $$), (7, e':x\':x'), (8, $a$:name$a$);
\unset number
insert into :"tab" select 9, (array['a', 'b', 'c'])[1:number]::text from (select 2 as number) s;
""".replace(", (1, :'none:')", ""),
    "a variable is a part of a statement": r"""
\set columns '(a int, b text default \'x\', c int[] default array[1, 2])'
\set body 'select 1 where ''a'' <> :x'
\set rest 'values (1), (2)'
create table t :columns ;
create table u (a int); insert into u :rest;
create function f() returns text language sql return :'body';
\set empty ''
insert into t (a) :empty values (1) :empty ; :empty ; insert into t (a) values (2);
:empty
insert into t (a) values (3)
:empty ;
""",
    "slices, casts and assignments are no variables": r"""
create table t (a int[], b json);
insert into t select array[1,2,3,4], null;
create table u as select a[1:2] as x, a[lo:hi] as y, a[:hi] as z, a[lo:] as v, a[lo :hi] as w, a[lo:lo+1]::text as q
from t, (select 2 as lo, 3 as hi) s;
create function f(a int, b int) returns int language sql return a + b;
select f(a := 1, b:=2), f(b => 1, a=>2), '12:30'::time, 'x'::text||':x';
do $$ declare x int := 1; begin x:=2; execute format('insert into u(x) values (array[%s])', x); end $$;
update t set a[1:2] = array[7,8];
create table j as select ('{"a":1}'::jsonb)->>'a' as "a:b";
""",
    "JSON_OBJECT with colons": r"""
create table t (k text, v int);
insert into t values ('x', 1);
create table u as select json_object(k:v) as a, json_object('a':v, 'b' :v)::text as b, json_objectagg(k:v)::text
from t group by k, v;
""",
    "a variable is tested": r"""
\set x 1
create table t as select :{?x} as a, :{?y} as b, :{?DBNAME} as c, :{?AUTOCOMMIT} as d;
\unset x
insert into t select :{?x}, false, false, false;
""",
    "several commands on a line": r"""
\set x 1 \set y 2 \\ create table t as select :x as x, :y as y; \echo :x \\ insert into t values (3, 4);
insert into t values (5, 6); \echo done \unset x \\
\timing \pset pager off \x on \echo `` \\ insert into t values (7, 8);
""".replace("\\echo `` ", ""),
    "a command inside a statement": r"""
create table t (
  a \echo in the table
int, \echo x
\set type text
  b :type
\timing on
) \p
;
insert into t values (1, '\echo x'), (2, $$
\echo y
$$) \echo :a
;
""",
    "the file ends with quit": r"""
create table t (a int);
\echo bye \quit
create table u (a int);
'
""",
    "the file ends with quit inside a statement": """create table t (a int) \\q
create table u (a int);""",
    "quit without a newline": "create table t (a int);\n\\q",
    "quit behind a statement on its line": "create table t (a int); \\q\nthis is not SQL",
    "a command at the end inside a statement": "create table t (a int) \\echo x",
    r"statements end with \g": r"""
create table t (a int) \g
insert into t values (1)\gx (format=csv footer=off)
insert into t values (2)
\g
select * from t \gx
select 1 as a \g \\ insert into t values (3) \g
vacuum t \g
""",
    "settings of psql that change nothing": r"""
\set ON_ERROR_ROLLBACK on
\set ECHO all \set VERBOSITY verbose
\set AUTOCOMMIT on
\set AUTOCOMMIT
\unset ON_ERROR_STOP
\set SINGLELINE off
\set FETCH_COUNT 10
\set PROMPT1 '%n@%/%R%# '
\a \t \f ',' \H \H \C title \T border=1 \x auto
\pset null '(null)'
\encoding
\encoding utf-8
\encoding 'UNICODE'
\conninfo
\d+ \dt *.* \dfnS+ pg_catalog.abs \l \z \du \dx \dn+ \sf abs(int)
\sf pg_catalog.lower(text)
\o /dev/null
\o
\qecho x \warn y \errverbose
\setenv PAGER cat
\h create table
\? variables
\copyright
\p \s
\g
create table t (a int);
""".replace("\\g\n", "")
    .replace(" \\sf abs(int)", "")
    .replace(" \\s\n", "\n"),
    "COPY FROM stdout, as the grammar allows": """create table t (a int);
copy t from stdout;
1
\\.
COPY t (a) FROM STDOUT (format csv);
2
\\.
copy t to stdin;
copy (select 1) to stdout;
insert into t values (3);""",
    "standard_conforming_strings: RESET and DEFAULT": r"""
create table t (a text);
set standard_conforming_strings = off;
insert into t values ('it\'s; a');
reset standard_conforming_strings;
insert into t values ('C:\');
set standard_conforming_strings = 0;
insert into t values ('it\'s; b');
reset all;
insert into t values ('D:\');
set session standard_conforming_strings to false;
insert into t values ('it\'s; c');
set standard_conforming_strings to default;
insert into t values ('E:\');
SET /* ; */ Standard_Conforming_Strings /* x */ = 'No';
insert into t values ('it\'s; d');
""",
    "standard_conforming_strings: SET LOCAL": r"""
create table t (a text);
begin;
set local standard_conforming_strings = off;
insert into t values ('it\'s; a');
commit;
insert into t values ('C:\');
begin;
set local standard_conforming_strings = off;
set standard_conforming_strings = on;
insert into t values ('D:\');
end;
set local standard_conforming_strings = off;
insert into t values ('E:\');
set standard_conforming_strings = off;
begin;
set local standard_conforming_strings to on;
insert into t values ('F:\');
commit and no chain;
insert into t values ('it\'s; b');
""",
    "standard_conforming_strings: set_config": r"""
create table t (a text);
select set_config('standard_conforming_strings', 'off', false);
insert into t values ('it\'s; a');
select pg_catalog.set_config('standard_conforming_strings', 'on', false), 1;
insert into t values ('C:\');
begin;
select set_config('standard_conforming_strings', 'off', true);
insert into t values ('it\'s; b');
commit;
insert into t values ('D:\');
with x as (select 1) select set_config('standard_conforming_strings', 'off', false) from x;
insert into t values ('it\'s; c');
""",
    "standard_conforming_strings: a DO block": r"""
create table t (a text);
do $$ begin perform set_config('standard_conforming_strings', 'off', false); end $$;
insert into t values ('it\'s; a');
do $$ begin set standard_conforming_strings = on; end $$;
insert into t values ('C:\');
do $$ begin execute 'set standard_conforming_strings = ''off'''; end $$;
insert into t values (E'it\'s; b'), ('\'');
""",
    "standard_conforming_strings for later sessions": r"""
create table t (a text);
alter role current_user set standard_conforming_strings = off;
alter database :DBNAME set standard_conforming_strings = off;
insert into t values ('C:\'), ('D:\');
create function f() returns text language sql set standard_conforming_strings = off as 'select ''x''';
show standard_conforming_strings;
select current_setting('standard_conforming_strings');
insert into t values ('E:\');
alter role current_user reset standard_conforming_strings;
alter database :DBNAME reset standard_conforming_strings;
""",
    "client_encoding stays UTF-8": """create table t (a text);
set names 'UTF8';
set client_encoding to 'utf-8';
set names default;
set names;
select set_config('client_encoding', 'UTF8', false);
set client_encoding = 'SQL_ASCII';
insert into t values ('größe');
""".replace("set names;\n", ""),
    "an encoding for later sessions": """create table t (a text);
alter database :DBNAME set client_encoding = 'LATIN1';
reset client_encoding;
reset all;
insert into t values ('größe');
alter database :DBNAME reset client_encoding;
""",
}


@pytest.mark.parametrize("name", ROWS)
def test_sqlmigrate_does_what_psql_does(project: Project, twin: str, name: str) -> None:
    version = int(str(execute(twin, "show server_version_num")[0][0]))
    if name == "JSON_OBJECT with colons" and version < 160000:
        pytest.skip("JSON_OBJECT is new in PostgreSQL 16")
    psql(project, twin, (ROWS[name],))
    project.add(1, ROWS[name])
    project.add(2, "create table behind (a text default 'C:\\');")

    project.migrator().migrate()

    project.query("drop table behind")
    assert project.schema() == project.server.schema(twin)
    assert project.query(DETAILS) == execute(twin, DETAILS)


@pytest.mark.parametrize("name", ["on the database", "for the role"])
def test_strings_are_read_as_the_session_starts(project: Project, twin: str, name: str) -> None:
    """The same file as psql runs it, alone and behind others, with a hook, in several segments."""
    whose = "database" if name == "on the database" else "role current_user in database"
    for conninfo in (twin, project.database):
        own = execute(conninfo, "select current_database()")[0][0]
        execute(conninfo, f"alter {whose} {own} set standard_conforming_strings = off")
    files = (
        "create table t (a text);",
        r"insert into t values ('it\'s; a'), ('b\\'), (E'\'c');",
        r"""set standard_conforming_strings = on;
insert into t values ('C:\');
reset standard_conforming_strings;
insert into t values ('it\'s; d');
vacuum t;
insert into t values ('it\'s; e');
reset all;
insert into t values ('it\'s; f');
copy t from stdin;
it\\'s
\.
insert into t values ('it\'s; g');""",
        r"insert into t values ('it\'s; h');",
    )
    psql(project, twin, files)
    for number, content in enumerate(files, 1):
        project.add(number, content)
    project.write("before_each.sql", r"select 'it\'s; ' || 'a hook';")

    assert len(project.migrator().migrate().steps) == len(files)

    assert project.query("select a from t order by a") == execute(twin, "select a from t order by a")
    assert project.migrator().check().up_to_date
    assert len(project.migrator().history()) >= len(files)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("create table :long (a int); select\n\\echo x\n:'long', 1/0;", "2:29"),
        ("select :'long',\n :long;", "3:2"),
        ("select :'long', '' -- :long\n || :'long' || nothing;", "3:16"),
        ("select 1;\nselect :'long'\\echo :long\n, nothing;", "4:3"),
        ("select :'long' from\\echo :long\n\nonly;", "4:5"),
        ("select (array[:DBNAME.x])[1:x];", "2:15"),
    ],
)
def test_an_error_has_its_place_behind_variables_and_commands(project: Project, statement: str, place: str) -> None:
    path = project.add(1, f"\\set long 'a_very_long_name_of_a_table'\n{statement}\n")

    with pytest.raises(MigrationFailed) as caught:
        project.migrator().migrate()

    assert str(caught.value.location) == f"{path}:{place}"


def test_a_plan_a_rehearsal_and_a_rollback_see_the_variables_of_the_connection(project: Project) -> None:
    comment = "comment on database :DBNAME is "
    project.add(
        1, f"\\set what 'up; 1'\n{comment} :'what';\ncreate table t (a int);", f"{comment} 'down';\ndrop table t;"
    )
    project.write("before_each.sql", f"{comment} 'before';")
    name, plan = project.value("select current_database()"), project.root / "plan.json"

    assert project.cli("validate", "--dry-run").returncode == 0
    shown = project.cli("plan", "--out", str(plan))
    assert f"comment on database {name} is  'up; 1';" in shown.stdout
    assert ":DBNAME" in project.cli("migrate", "--dry-run").stdout
    done = project.cli("migrate", "--plan", str(plan))
    assert done.returncode == 0, done.stderr
    described = "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
    assert project.value(described) == "up; 1"
    assert project.cli("rollback", "--steps", "1", "--yes").returncode == 0
    assert project.value(described) == "down"


def test_a_long_script_with_variables_is_sent_as_psql_sends_it(project: Project, twin: str) -> None:
    """In several pieces and messages, with a variable in each statement, and many in one statement."""
    rows = "".join(f"insert into :t values ({number}, :'text', :{{?t}});\n" for number in range(6_000))
    many = ", ".join(f"({number}, :'text', true)" for number in range(2_000))
    content = (
        "\\set t numbers\n\\set text 'it''s\\ta;b'\ncreate table :t (a int, b text, c bool);\n"
        f"{rows}insert into numbers values {many};\ncopy numbers from stdin;\n1\t:'text'\tt\n\\.\n{rows}"
    )
    psql(project, twin, (content,))
    project.add(1, content)

    project.migrator().migrate()

    summed = "select count(*), sum(a), count(distinct b), min(b), bool_and(c) from numbers"
    assert project.query(summed) == execute(twin, summed)


def test_a_script_that_cannot_be_read_with_the_changed_strings_is_stopped(project: Project) -> None:
    """Nobody can know it before; psql does not send the unterminated string either."""
    project.add(
        1,
        "create function quiet() returns void language plpgsql as $$ begin"
        " perform set_config(concat('standard_', 'conforming_strings'), 'off', false); end $$;",
    )
    project.add(2, "create table t (a text);\nselect quiet();\nvacuum t;\ninsert into t values ('C:\\');\n")

    with pytest.raises(MigrationFailed, match="unterminated quoted string") as caught:
        project.migrator().migrate()

    assert caught.value.location is not None
    assert caught.value.location.line == 4


def test_the_next_statement_outside_a_transaction_is_not_sent_either(project: Project) -> None:
    project.add(
        1,
        "create function quiet() returns void language plpgsql as $$ begin"
        " perform set_config(concat('standard_', 'conforming_strings'), 'off', false); end $$;",
    )
    project.add(2, "create table t (a text);\nselect quiet();\ncreate index concurrently i on t (a) where a <> '\\';\n")

    with pytest.raises(MigrationFailed, match="unterminated quoted string"):
        project.migrator().migrate()

    assert project.value("select to_regclass('i')") is None


def test_a_function_that_changes_the_encoding_stops_the_script(project: Project) -> None:
    project.add(
        1,
        "create function quiet() returns void language plpgsql as $$ begin"
        " perform set_config(concat('client_', 'encoding'), 'LATIN1', false); end $$;",
    )
    project.add(2, "create table t (a text);\nselect quiet();\nvacuum t;\ninsert into t values ('ß');\n")

    with pytest.raises(MigrationFailed, match="a statement before this one has changed client_encoding"):
        project.migrator().migrate()

    assert project.value("select count(*) from t") == 0


def refusal(project: Project, content: str | bytes) -> Problem:
    """The only problem with a second migration; the first is applied, or nothing is."""
    project.add(1, "create table made (a int);")
    project.add(2, content)
    with pytest.raises(SqlMigrateError) as caught:
        project.migrator().migrate()
    assert isinstance(caught.value, PlanRefused), caught.value
    assert project.value("select to_regclass('made')") is None
    (problem, *_) = caught.value.problems
    return problem


# Content, line:column, message, hint.
REFUSED = {
    "a variable that is not set": ("select 1;\nselect :x;", "2:8", "psql variable :x is not set", r"\set"),
    "a quoted one": ("select :'x';", "1:8", "psql variable :'x' is not set", ""),
    "a name": ('select 1 as :"x";', "1:13", 'psql variable :"x" is not set', ""),
    "one that is not set any more": ("\\set x 1\n\\unset x\nselect :x;", "3:8", "psql variable :x is not set", ""),
    "one that is set later": ("select :x;\n\\set x 1\n", "1:8", "psql variable :x is not set", ""),
    "one of psql's own": ("select (array[1])[1:ROW_COUNT];", "1:20", "psql variable :ROW_COUNT is not set", ""),
    "one in the arguments of a function": ("select f((a[1])::int, :x);", "1:23", "psql variable :x is", ""),
    "one in a statement of many lines": ("insert into t\nvalues (1),\n(:v);", "3:2", "psql variable :v is", ""),
    "a value with a semicolon": ("\\set x 'a; b'\nselect :x;", "2:8", "the value of psql variable :x contains", ""),
    r"\gexec": ("select 'x'\n\\gexec", "2:1", r"psql meta-command \gexec is not supported", "DO block with EXECUTE"),
    r"\gexec on the line": ("select 'x' where true\\gexec", "1:22", r"psql meta-command \gexec", "DO block"),
    r"\gexec behind a semicolon": ("select 'x';\n\\gexec", "2:1", r"psql meta-command \gexec", "DO block"),
    r"\gset": ("select 1 as x \\gset", "1:15", r"psql meta-command \gset", "DO block with SELECT … INTO"),
    r"\gset with a prefix": ("select 1 as x \\gset p_\nselect :p_x;", "1:15", r"psql meta-command \gset", ""),
    r"\crosstabview": ("select 1, 2, 3 \\crosstabview", "1:16", r"psql meta-command \crosstab", "semicolon"),
    r"\watch": ("select 1 \\watch 5", "1:10", r"psql meta-command \watch", "semicolon"),
    r"\bind": ("select $1 \\bind 5 \\g", "1:11", r"psql meta-command \bind", "into the statement"),
    r"\gdesc": ("select 1 \\gdesc", "1:10", r"psql meta-command \gdesc", "which psql does not run"),
    r"\g with a file": ("select 1 \\g x.txt", "1:10", r"psql meta-command \g ", "semicolon"),
    r"\g with a program": ("select 1 \\g | sh", "1:10", r"psql meta-command \g ", "program"),
    r"\g alone runs the query again": ("select 1;\n\\g", "2:1", r"psql meta-command \g ", "semicolon"),
    r"\;": ("select 1 \\; select 2;", "1:10", r"psql meta-command \; is", "without a backslash"),
    r"\parse": ("select 1 \\parse x", "1:10", r"psql meta-command \parse", "PREPARE"),
    r"\startpipeline": ("\\startpipeline\nselect 1;", "1:1", r"psql meta-command \startpipeline", "remove it"),
    r"\r": ("drop table made \\r\nselect 1;", "1:17", r"psql meta-command \r", "discards"),
    r"a second \i": ("\\echo a \\i b\n", "1:9", r"psql meta-command \i is", "copy the included SQL"),
    r"\i behind \\": ("\\echo a \\\\ \\i b\n", "1:12", r"psql meta-command \i is", "copy the included SQL"),
    r"\include_relative": ("\\include_relative b\n", "1:1", r"psql meta-command \include_relative", "copy the incl"),
    r"\cd": ("\\cd /tmp\n", "1:1", r"psql meta-command \cd", "remove it"),
    r"\prompt": ("\\prompt x y\n", "1:1", r"psql meta-command \prompt", r"\set"),
    r"\getenv": ("\\getenv x PATH\n", "1:1", r"psql meta-command \getenv", r"\set"),
    r"\lo_import": ("\\lo_import /x\n", "1:1", r"psql meta-command \lo_import", "lo_from_bytea"),
    r"\password": ("\\password\n", "1:1", r"psql meta-command \password", "ALTER ROLE"),
    r"\w": ("\\w x.sql\n", "1:1", r"psql meta-command \w", "does not write files"),
    r"\o into a program": ("\\o | sh\n", "1:1", r"psql meta-command \o", "program"),
    "the output of a program": ("\\set x `date`\nselect 1;", "1:1", r"psql meta-command \set", "program"),
    "AUTOCOMMIT off": ("\\set AUTOCOMMIT off\nselect 1;", "1:1", r"psql meta-command \set", "remove it"),
    "AUTOCOMMIT unset": ("\\unset AUTOCOMMIT\nselect 1;", "1:1", r"psql meta-command \unset", "remove it"),
    "SINGLELINE on by default": ("\\set SINGLELINE\nselect 1", "1:1", r"psql meta-command \set", "remove it"),
    "a name of a variable": ("\\set 'a b' 1\nselect 1", "1:1", r"psql meta-command \set", "letters, digits"),
    "SINGLELINE": ("\\set SINGLELINE on\nselect 1", "1:1", r"psql meta-command \set", "remove it"),
    "another encoding of psql": ("\\encoding latin1\nselect 'ß';", "1:1", r"psql meta-command \encoding", "UTF-8"),
    "an unknown command": ("\\dump x\n", "1:1", r"psql meta-command \dump", "plain SQL"),
    "a command behind a statement": ("select 1; \\connect x", "1:11", r"psql meta-command \connect", "one database"),
    "SET NAMES": ("set names 'LATIN1';\nselect 'ß';", "1:1", "sets client_encoding to another", "remove"),
    "SET NAMES of the session": ("set session names latin1;\nselect 'ß';", "1:1", "sets client_encoding to", ""),
    "SET LOCAL NAMES": ("begin;\nset local names 'win1252';\nselect 'ß';\ncommit;", "2:1", "sets client_encoding", ""),
    "SET NAMES with a comment": ("set/**/names/**/'LATIN1';\nselect 'ß';", "1:1", "sets client_encoding", ""),
    "client_encoding in quotes": ("set \"client_encoding\" = 'LATIN1';\nselect 'ß';", "1:1", "sets client_enc", ""),
    "set_config of the encoding": (
        "select set_config('client_encoding', 'LATIN1', false);\nselect 'ß';", "1:1", "sets client_encoding", "",
    ),
    "a DO block with the encoding": (
        "do $$ begin perform set_config('client_encoding', 'LATIN1', false); end $$;\nselect 'ß';",
        "1:1", "sets client_encoding", "",
    ),
    "a DO block with SET NAMES": (
        "do $$ begin execute 'set names ''LATIN1'''; end $$;\nselect 'ß';", "1:1", "sets client_encoding", "",
    ),
    "a value of standard_conforming_strings that only the server knows": (
        "select set_config('standard_conforming_strings', lower('OFF'), false);", "1:1",
        "cannot tell to which value", "SET",
    ),
    "goose": (
        "-- +goose Up\ncreate table t (a int);\n\n-- +goose Down\ndrop table t;\n", "4:1",
        "a file for goose", ".down.sql",
    ),
    "goose with statement marks": (
        "-- +goose Up\n-- +goose StatementBegin\nselect 2;\n-- +goose StatementEnd\n--  +goose down\nselect 1;",
        "5:1", "a file for goose", "",
    ),
    "goose, the last statement without a semicolon": (
        "-- +goose Up\ncreate table t (a int)\n-- +goose Down\n;drop table t;\n", "3:1", "a file for goose", "",
    ),
    "dbmate": (
        "-- migrate:up\ncreate table t (a int);\n\n-- migrate:down\ndrop table t;\n", "4:1",
        "a file for dbmate", ".down",
    ),
    "dbmate with options": (
        "-- migrate:up transaction:false\nselect 1;\n-- migrate:down transaction:false\nselect 2;", "3:1", "dbmate", "",
    ),
    "sql-migrate": ("-- +migrate Up\nselect 1;\n-- +migrate Down\nselect 2;\n", "3:1", "a file for sql-migrate", ""),
    "micrate": ("-- +micrate Up\r\nselect 1;\r\n-- +micrate Down\r\nselect 2;\r\n", "3:1", "a file for micrate", ""),
    "tern": (
        "create table t (a int);\n---- create above / drop below ----\ndrop table t;\n", "2:1", "a file for tern", "",
    ),
    "node-pg-migrate": ("-- Up Migration\nselect 1;\n-- Down Migration\nselect 2;\n", "3:1", "node-pg-migrate", ""),
    "rambler": ("-- rambler up\nselect 1;\n-- rambler down\nselect 2;\n", "3:1", "a file for rambler", ""),
    "MyBatis": ("-- // create\nselect 1;\n\n-- //@UNDO\nselect 2;\n", "4:1", "a file for MyBatis Migrations", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_place(project: Project, name: str) -> None:
    content, place, message, hint = REFUSED[name]

    problem = refusal(project, content)

    assert message in problem.message
    assert hint in problem.hint
    assert problem.hint
    assert str(problem.location).endswith(f".up.sql:{place}")


RUNS = {
    "a word that looks like a marker in a string": "create table t as select '\n-- +goose Down\n' as a;",
    "a marker in a function": "do $$ begin\n-- +goose Down\nend $$; create table t (a int);",
    "a marker in a block comment": "/*\n-- migrate:down\n*/ create table t (a int);",
    "another encoding without other characters": "set names 'LATIN1'; create table t (a int);",
    "only the way there": "-- +goose Up\ncreate table t (a int);\n-- +goose StatementBegin\n-- +goose StatementEnd\n",
    "a comment about goose": "-- the way down is in the other file (+goose Down)\ncreate table t (a int);",
}


@pytest.mark.parametrize("name", RUNS)
def test_it_is_not_refused(project: Project, name: str) -> None:
    project.add(1, RUNS[name])

    assert len(project.migrator().migrate().steps) == 1

    assert project.value("select to_regclass('t') is not null")


@pytest.mark.parametrize("content", ["", "-- nothing\n", ";\n/* x */;", "\\echo x\n", "\\q\ncreate table t (a int);"])
def test_a_migration_without_a_statement_is_warned_of(project: Project, content: str) -> None:
    path = project.add(1, content)

    run = project.migrator().migrate()

    (problem,) = run.warnings
    assert (problem.code, problem.message) == ("empty", "the file contains no statement")
    assert problem.location is not None
    assert problem.location.path == str(path)
    assert project.versions() == [("v1.0.0-001", True)]


def test_an_empty_down_file_is_warned_of(project: Project) -> None:
    project.add(1, "create table t (a int);", "-- nothing to do\n")
    assert project.migrator().migrate().warnings == ()

    (problem,) = project.migrator().rollback(steps=1).warnings

    assert problem.message == "the file contains no statement"


NOT_UTF8 = b"V1.0.0-001__gr\xf6\xdfe.up.sql", b"x\xff.sql", b"sub\xff/V1.0.0-001__x.up.sql"


@pytest.mark.parametrize("name", NOT_UTF8)
def test_a_file_name_that_is_not_utf8_is_refused(project: Project, name: bytes) -> None:
    path = bytes(project.directory) + b"/" + name
    os.makedirs(path.rpartition(b"/")[0], exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"create table t (a int);")
    project.add(2, "create table made (a int);")

    with pytest.raises(PlanRefused) as caught:
        project.migrator().migrate()

    (problem,) = caught.value.problems
    assert "\\x" in str(problem.location)
    assert (problem.code, problem.message) == ("misnamed", "the file name is not valid UTF-8")
    done = project.cli("migrate")
    assert done.returncode == 1
    assert "the file name is not valid UTF-8" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.value("select to_regclass('made')") is None
    for command in (["status"], ["check"], ["plan"], ["validate"], ["renumber", "--dry-run"]):
        assert "Traceback" not in project.cli(*command).stderr
