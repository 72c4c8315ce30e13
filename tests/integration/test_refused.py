"""What psql runs and a migration can't be is refused by file, line and column, before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sqlmigrate import SqlMigrateError
from sqlmigrate.errors import PlanRefused
from tests.project import Project


class Refused(NamedTuple):
    """What stands behind `create table made (a int);` and a newline, where it is refused, and what is said."""

    content: str | bytes
    place: str
    message: str
    hint: str = ""


REFUSED = {
    "an included file": Refused(
        "\\i other.sql\n", "2:1", "psql meta-command \\i is not supported", "copy the included SQL into this file"
    ),
    "an included file, relative": Refused(
        "  \\ir other.sql\n", "2:3", "psql meta-command \\ir", "copy the included SQL"
    ),
    "copy by the client": Refused(
        "\\copy made from 'x.csv' csv\n", "2:1", "psql meta-command \\copy is", "COPY … FROM stdin"
    ),
    "gexec": Refused("select 'create table x ()' \\gexec\n", "2:28", "psql meta-command \\gexec is", "DO block"),
    "gexec behind a semicolon": Refused(
        "select 'x';\n\\gexec\n", "3:1", "psql meta-command \\gexec is", "DO block with EXECUTE"
    ),
    "another database": Refused("\\connect other\n", "2:1", "psql meta-command \\connect is", "one database"),
    "another database, short": Refused("\n\n\\c other\n", "4:1", "psql meta-command \\c is", "one database"),
    "a variable of psql's": Refused(
        "select :name;\n", "2:8", "psql variable :name is not set", "write the value, or set the variable with \\set"
    ),
    "a condition of psql's": Refused(
        "\\if :x\nselect 1;\n\\endif\n", "2:1", "psql meta-command \\if is", "use a DO block with IF"
    ),
    "a shell command": Refused(
        "\\! rm x\n", "2:1", "psql meta-command \\! is", "run the program before or after sqlmigrate"
    ),
    "two psql commands on a line": Refused("\\echo x \\\\ \\i y\n", "2:12", "psql meta-command \\i is", ""),
    "a stray end of data": Refused("insert into made values (1);\n\\.\n", "3:1", "psql meta-command \\. is", ""),
    "a ROLLBACK": Refused("begin;\nselect 1;\nROLLBACK;\n", "4:1", "ROLLBACK would roll back", "remove it"),
    "an ABORT": Refused("select 1; abort;\n", "2:11", "ROLLBACK would roll back", ""),
    "an unterminated transaction block": Refused(
        "select 1;\nbegin;\nselect 2;\n",
        "3:1",
        "the transaction block is still open at the end of the file, where psql would roll it back",
        "add COMMIT",
    ),
    "a transaction block that quit ends": Refused(
        "begin;\nselect 2;\n\\quit\ncommit;\n",
        "2:1",
        "the transaction block is still open at \\quit in line 4, where psql would roll it back",
        "write COMMIT before \\quit",
    ),
    "a transaction block that quit ends, with START": Refused(
        "start transaction;\nselect 2;\ncommit;\nSTART TRANSACTION isolation level serializable;\nselect 1; \\q",
        "5:1",
        "the transaction block is still open at \\q in line 6,",
        "write COMMIT before \\q",
    ),
    "a transaction block that quit ends inside a statement": Refused(
        "begin;\nselect 2 \\q\ncommit;\n",
        "2:1",
        "the transaction block is still open at \\q in line 3,",
        "write COMMIT",
    ),
    "a transaction block that quit ends behind another command": Refused(
        "begin work;\nselect 2;\n\\echo bye \\quit\n", "2:1", "still open at \\quit in line 4,", "write COMMIT"
    ),
    "PREPARE TRANSACTION": Refused("begin;\nprepare transaction 'x';\n", "3:1", "two-phase", "use BEGIN and COMMIT"),
    "COMMIT PREPARED": Refused("commit prepared 'x';\n", "2:1", "two-phase", "use BEGIN and COMMIT"),
    "COMMIT AND CHAIN": Refused("begin;\ncommit and chain;\ncommit;\n", "3:1", "AND CHAIN", "write COMMIT and BEGIN"),
    "DISCARD ALL": Refused("discard all;\n", "2:1", "would release the migration lock", "RESET ALL"),
    "a read-only transaction": Refused(
        "begin read only;\nselect 1;\ncommit;\n", "2:1", "read-only", "remove READ ONLY"
    ),
    "truncated COPY data": Refused("copy made from stdin;\n1\n2\n", "2:1", "unterminated COPY data", "\\."),
    "COPY data on the statement's line": Refused(
        "copy made from stdin; select 1;\n1\n\\.\n", "2:22", "extra text after COPY", "next line"
    ),
    "not UTF-8": Refused(
        "-- ok\n-- gr\xfc\xdf\n".encode("latin-1"),
        "3",
        'invalid byte sequence for encoding "UTF8": 0xfc',
        "save the file as UTF-8",
    ),
    "UTF-16": Refused("-- x\n".encode("utf-16-le"), "2", "the file contains a NUL character", "save the file as UTF-8"),
    "another client_encoding": Refused(
        "set client_encoding = 'latin1';\n-- ü\n",
        "2:1",
        "sets client_encoding to another encoding",
        "remove the setting",
    ),
    "an unterminated string": Refused(
        "insert into made values\n  ('x);\n", "3:4", "unterminated quoted string", "terminate it"
    ),
    "an unterminated identifier": Refused('select "x;\n', "2:8", "unterminated quoted identifier", "terminate it"),
    "an unterminated dollar quote": Refused(
        "do $body$ begin end;\n", "2:4", "unterminated dollar-quoted string", "terminate it"
    ),
    "an unterminated comment": Refused("select 1; /* a /* b */\n", "2:11", "unterminated /* comment", "terminate it"),
    "an unknown directive": Refused(
        "-- sqlmigrate: transactoin=off\n", "1:1", 'unrecognized directive "transactoin"', "write one of transaction"
    ),
    "a directive with an invalid value": Refused(
        "-- sqlmigrate: lock-timeout=5\n", "1:1", "is not a duration", "write it with its unit"
    ),
}
# Behind the first statement a directive is a comment like any other, so these stand at the head.
AT_THE_HEAD = ("an unknown directive", "a directive with an invalid value")


@pytest.mark.parametrize("name", REFUSED)
def test_a_script_is_refused_before_anything_is_sent(project: Project, name: str) -> None:
    refused = REFUSED[name]
    first = b"" if name in AT_THE_HEAD else b"create table made (a int);\n"
    project.add(1, "create table earlier (a int);")
    path = project.add(2, first + (refused.content if isinstance(refused.content, bytes) else refused.content.encode()))

    problem = refusal(project)

    assert problem.location is not None
    assert str(problem.location) == f"{path}:{refused.place}"
    assert refused.message in problem.message
    assert refused.hint in problem.hint
    assert problem.hint
    assert untouched(project)


def test_all_problems_are_reported_at_once(project: Project) -> None:
    project.add(1, "\\i x\nselect 1;\nrollback;\n")
    project.add(2, "discard all;")

    with pytest.raises(PlanRefused) as refused:
        project.migrator().migrate()

    assert [str(problem.location).rpartition("/")[2] for problem in refused.value.problems] == [
        "V1.0.0-001__step.up.sql:1:1",
        "V1.0.0-001__step.up.sql:3:1",
        "V1.0.0-002__step.up.sql:1:1",
    ]


def refusal(project: Project) -> Any:
    """The first problem, or the error itself where the file can't be read at all."""
    with pytest.raises(SqlMigrateError) as error:
        project.migrator().migrate()
    return error.value.problems[0] if isinstance(error.value, PlanRefused) else error.value


def untouched(project: Project) -> bool:
    nothing = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    return bool(project.value(nothing) == 0)


def test_a_directory_is_not_a_script(project: Project) -> None:
    (project.directory / "V1.0.0-001__folder.up.sql").mkdir()
    project.add(2, "create table t (a int);")

    assert len(project.migrator().migrate().steps) == 1


def test_a_file_that_cannot_be_opened_is_refused(project: Project) -> None:
    broken = project.directory / "V1.0.0-001__gone.up.sql"
    broken.symlink_to(Path("nowhere"))

    problem = refusal(project)

    assert str(problem.location) == str(broken)
    assert "could not read" in problem.message
    assert untouched(project)
