r"""A called function changes standard_conforming_strings: the rest is read as the server reads it, and as psql does."""

from __future__ import annotations

import pytest

from tests.project import Project

FUNCTION = (
    """create function quiet(value text, is_local bool default false) returns void language plpgsql as
    $$ begin perform set_config(concat('standard_', 'conforming_strings'), value, is_local); end $$""",
    "create procedure hush() language plpgsql as $$ begin perform quiet('off'); end $$",
    "create table t (a text)",
)
FILES = {
    "SELECT": r"select quiet('off'); insert into t values ('it\\s');",
    "SELECT FROM": r"select * from quiet('off'); insert into t values ('it\\s');",
    "CALL": r"call hush(); insert into t values ('it\\s');",
    "a block": r"do $$ begin perform quiet('off'); end $$; insert into t values ('it\\s');",
    "a statement between": r"select quiet('off'); select 1; insert into t values ('it\\s');",
    "a transaction of the file": r"begin; select quiet('off'); insert into t values ('it\\s'); commit;",
    "another segment": r"select quiet('off'); vacuum t; insert into t values ('it\\s');",
    "a local setting": r"begin; select quiet('off', true); insert into t values ('it\\s'); commit;",
    "another place": r"select quiet('off');" + "\n\n  " + r"insert into t values ('it\\s');",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_the_next_string_with_a_backslash_is_read_as_the_server_does(project: Project, text: str) -> None:
    project.query(*FUNCTION)
    project.add(1, text)

    project.migrator().migrate()

    assert project.value("select a from t") == r"it\s"


def test_each_change_is_seen(project: Project) -> None:
    project.query(*FUNCTION)
    project.add(
        1,
        r"select quiet('off'); insert into t values ('1\\'); insert into t values ('2\\');"
        r"select quiet('on'); insert into t values ('3\\'); vacuum t;"
        r"select quiet('off'); insert into t values ('4\\');",
    )

    project.migrator().migrate()

    assert project.query("select a from t order by a") == [("1\\",), ("2\\",), ("3\\\\",), ("4\\",)]


def test_a_function_that_changes_nothing_changes_nothing(project: Project) -> None:
    project.query(*FUNCTION, "create function calm() returns int language sql return 1")
    project.add(1, "select calm(); insert into t values ('C:\\'); select calm(); insert into t values ('D:\\');")
    project.add(2, "insert into t values ('E:\\');")

    project.migrator().migrate()

    assert project.query("select a from t order by a") == [("C:\\",), ("D:\\",), ("E:\\",)]


def test_a_hook_may_call_a_function_before_a_backslash(project: Project) -> None:
    project.query(*FUNCTION, "create function calm() returns int language sql return 1")
    project.write("before_each.sql", "select calm(); insert into t values ('C:\\');")
    project.add(1, "select 1")

    project.migrator().migrate()

    assert project.query("select a from t") == [("C:\\",)]
