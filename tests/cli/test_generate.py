"""`generate`: what it writes and what it refuses, without a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sqlmigrate.authoring.generator import MigrationRequest, generate
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import atomic
from tests.project import Project
from tests.scratch import Scratch

pytestmark = pytest.mark.anywhere

UP, DOWN = "V1.0.0-001__create_orders.up.sql", "V1.0.0-001__create_orders.down.sql"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    (tmp_path / "migrations").mkdir()
    return Scratch(tmp_path)


def names(scratch: Scratch, directory: str = "migrations") -> list[str]:
    return sorted(path.name for path in (scratch.root / directory).iterdir())


def test_only_the_paths_are_printed(scratch: Scratch) -> None:
    done = scratch.run("generate", "--name", "create_orders", "--template", "table")

    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"migrations/{UP}", f"migrations/{DOWN}"]
    assert done.stderr == ""
    assert "create table orders (" in (scratch.root / "migrations" / UP).read_text()
    assert (scratch.root / "migrations" / DOWN).read_text() == "-- Rolls back: Create orders.\n\ndrop table orders;\n"


def test_json(scratch: Scratch) -> None:
    made = scratch.json("generate", "create orders")
    shown = scratch.json("generate", "create orders", "--dry-run", "--minor")

    assert made["files"] == [{"version": "v1.0.0-001", "path": f"migrations/{name}"} for name in (UP, DOWN)]
    assert [file["version"] for file in shown["files"]] == ["v1.1.0-001"] * 2
    assert shown["files"][0]["text"].startswith("-- Create orders.\n-- sqlmigrate: draft=on\n")
    assert names(scratch) == [DOWN, UP]


def test_the_next_version_considers_all_directories(scratch: Scratch) -> None:
    scratch.write("other/below/V2.0.0-017__a.sql", "select 1;")
    scratch.write("migrations/V1.9.0-001__a.up.sql", "select 1;")

    done = scratch.run("generate", "b", "--dir", "migrations", "--dir", "other")

    assert "migrations/V2.0.0-018__b.up.sql" in done.stdout


@pytest.mark.parametrize(
    ("option", "version"),
    [
        ("--major", "V3.0.0-001"),
        ("--minor", "V2.1.0-001"),
        ("--patch", "V2.0.1-001"),
        ("--version=v4.5.6-7", "V4.5.6-007"),
    ],
)
def test_another_version(scratch: Scratch, option: str, version: str) -> None:
    scratch.write("migrations/V2.0.0-017__a.up.sql", "select 1;")

    assert f"{version}__b.up.sql" in scratch.run("generate", "b", option).stdout


def test_an_older_version_is_reported(scratch: Scratch) -> None:
    scratch.write("migrations/V2.0.0-017__a.up.sql", "select 1;")

    done = scratch.run("generate", "b", "--version", "2.0.0-16")

    assert done.returncode == 0
    assert "the newer version v2.0.0-017 already exists" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([], "exactly one name is required", "--name add_new_feature"),
        (["a", "--name", "b"], "exactly one name is required", ""),
        (["订单"], "'订单' is not ASCII", "--description may be in any language"),
        (["!"], "'!' contains no letter or digit", ""),
        (["a", "--template", "tabel"], 'template "tabel" does not exist', "did you mean table?"),
        (["a", "--template", "index"], "requires --set table=… --set column=…", "variables: table, column, method"),
        (["a", "--set", "table=t"], "template empty has no variable table", "no variables"),
        (["a", "--template", "view", "--set", "view"], "--set view has no value", "--set view=…"),
        (["create_t", "--template", "table", "--set", "table=a b"], "'a b' is not a name", "shop.orders"),
        (["create_t", "--template", "table", "--set", "title=t"], "has no variable title", ""),
        (["a", "--version", "1.0"], "is not a version", ""),
        (["a", "--version", "1.0.0-1", "--major"], "--version and --major", "omit one of them"),
        (["a", "--description", "sqlmigrate: transaction=off"], "invalid description", ""),
        (["a", "--dir", "nowhere"], 'directory "nowhere" does not exist', "sqlmigrate init"),
        (["a" * 300], "File name too long", ""),
    ],
)  # fmt: skip
def test_invalid_requests_are_refused(scratch: Scratch, arguments: list[str], message: str, hint: str) -> None:
    done = scratch.run("generate", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert hint in done.stderr
    assert names(scratch) == []


def test_the_description_may_be_in_any_language(scratch: Scratch) -> None:
    scratch.run("generate", "add_channels", "--description", "添加告警通道。")

    up = scratch.root / "migrations" / "V1.0.0-001__add_channels.up.sql"
    assert up.read_text().startswith("-- 添加告警通道.\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("add_total_to_orders", "add column total numeric"),
        ("add_reply_to_to_mails", ""),
        ("widen_orders", ""),
    ],
)
def test_a_conventional_name_gives_column_and_table(scratch: Scratch, name: str, said: str) -> None:
    done = scratch.run("generate", name, "--template", "column", "--set", "type=numeric", "--dry-run")

    assert (done.returncode == 0) == bool(said)
    assert said in done.stdout


def test_options_override_the_values_of_the_name(scratch: Scratch) -> None:
    given = ["--set", "type=int", "--set", "table=shop.orders", "--set", "column=total"]

    assert (
        "alter table shop.orders"
        in scratch.run("generate", "add_total_to_orders", "--template", "column", *given, "--dry-run").stdout
    )


def test_nothing_is_overwritten(scratch: Scratch) -> None:
    scratch.write(f"migrations/{DOWN}", "mine")

    done = scratch.run("generate", "create_orders", "--version", "1.0.0-1")

    assert done.returncode == 2
    assert f"v1.0.0-001 already exists: migrations/{DOWN}" in done.stderr
    assert names(scratch) == [DOWN]


def test_both_files_are_created_or_neither(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a", "b")]
    (tmp_path / "b").write_text("mine")

    with pytest.raises(FileExistsError):
        atomic.create(dict.fromkeys(paths, "new"))

    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_text() == "mine"


def test_concurrent_generates_get_different_versions(scratch: Scratch) -> None:
    command = [sys.executable, "-m", "sqlmigrate", "generate"]
    started = [
        subprocess.Popen([*command, name], cwd=scratch.root, env=scratch.environment(), stdout=subprocess.DEVNULL)
        for name in ("same", "same", "other", "another")
    ]

    assert [process.wait() for process in started] == [0] * 4
    assert sorted({name[:10] for name in names(scratch)}) == [f"V1.0.0-00{number}" for number in (1, 2, 3, 4)]
    assert len(names(scratch)) == 8


def test_generate_waits_for_a_locked_directory(tmp_path: Path) -> None:
    with atomic.held(str(tmp_path)):
        other = threading.Thread(target=generate, args=([str(tmp_path)], MigrationRequest("a")))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert list(tmp_path.iterdir()) == []
    other.join()
    assert len(list(tmp_path.iterdir())) == 2


def test_list(scratch: Scratch) -> None:
    scratch.write("migrations/templates/audit.up.sql.j2", "{# Ours. #}\nselect {{ what }};")

    assert "audit        Ours.\n             variables: what\n" in scratch.run("generate", "--list").stdout
    takes = {template["name"]: template["takes"] for template in scratch.json("generate", "--list")["templates"]}
    assert takes["audit"] == {"what": None}
    assert takes["index"] == {"table": None, "column": None, "method": "btree", "where": ""}
    assert takes["constraint"]["constraint"] == "name"


def test_a_project_template_replaces_the_built_in_one(scratch: Scratch) -> None:
    scratch.write("migrations/templates/table.up.sql.j2", "create unlogged table {{ table | identifier }} ();")

    done = scratch.run("generate", "t", "--template", "table", "--set", "table=Order")

    assert done.stdout == "migrations/V1.0.0-001__t.up.sql\n"
    assert (scratch.root / done.stdout.strip()).read_text() == 'create unlogged table "order" ();\n'
    assert scratch.run("validate", "migrations").returncode == 0


def test_the_first_directory_with_a_template_wins(scratch: Scratch) -> None:
    scratch.write("a/templates/x.up.sql.j2", "-- a")
    scratch.write("b/templates/x.up.sql.j2", "-- b")

    assert "-- a" in scratch.run("generate", "n", "--template", "x", "--dry-run", "--dir", "a", "--dir", "b").stdout


def test_a_template_may_extend_a_built_in_one(scratch: Scratch) -> None:
    scratch.write("migrations/templates/mine.up.sql.j2", '{% include "column.up.sql.j2" %}\n-- {{ more }}')
    given = ["--set", "table=t", "--set", "column=c", "--set", "type=int", "--set", "more=yes"]

    done = scratch.run("generate", "n", "--template", "mine", "--dry-run", *given)

    assert "add column c int;" in done.stdout
    assert "-- yes" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ open", "x.up.sql.j2:1: unexpected end of template"),
        ("{{ ''.__class__.__mro__ }}", "x.up.sql.j2: access to attribute '__class__'"),
        ("{{ 1 / 0 }}", "x.up.sql.j2: ZeroDivisionError"),
        ("{% include 'y' %}", 'template file "y" does not exist'),
        ("{{ name.nothing }}", "has no attribute 'nothing'"),
    ],
)
def test_a_template_that_fails_is_named(scratch: Scratch, text: str, said: str) -> None:
    scratch.write("migrations/templates/x.up.sql.j2", text)

    done = scratch.run("generate", "n", "--template", "x")

    assert done.returncode == 2
    assert said in done.stderr
    assert names(scratch) == ["templates"]


def test_a_down_file_alone_is_not_a_template(scratch: Scratch) -> None:
    scratch.write("migrations/templates/x.down.sql.j2", "-- x")

    assert "without an up file" in scratch.run("generate", "n", "--template", "x").stderr


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), "there")

    monkeypatch.setattr(atomic, "create", full)
    with pytest.raises(ConfigurationError, match='there": No space left on device'):
        generate([str(tmp_path)], MigrationRequest("a"))


def test_other_commands_do_not_load_jinja() -> None:
    loaded = "import sys; import sqlmigrate.cli, sqlmigrate.migrator; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True)

    assert json.loads(done.stdout.lower()) is False


def test_a_template_that_does_not_end_is_stopped(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = scratch.root / "m" / "templates"
    directory.mkdir(parents=True)
    loops = "{% for a in range(90000) %}" * 3 + "{% endfor %}" * 3
    (directory / "endless.up.sql.j2").write_text(loops)
    monkeypatch.setattr("sqlmigrate.authoring.template._SECONDS", 0.2)

    with pytest.raises(ConfigurationError, match=r"the template did not end within 0\.2 s"):
        generate([str(scratch.root / "m")], MigrationRequest("a", "endless"))


@pytest.mark.parametrize(
    "command", ["migrate", "migrate --dry-run", "plan", "validate", "validate migrations", "check"]
)
def test_a_generated_migration_that_nobody_has_edited_is_refused(project: Project, command: str) -> None:
    project.add(1, "create table a (id int)")
    assert project.cli("generate", "add_tags").returncode == 0

    run = project.cli(*command.split())

    code = 3 if command == "check" else 1
    assert run.returncode == code, run.stdout + run.stderr
    if command != "check":
        assert "V1.0.0-002__add_tags.up.sql:2:1: the file is a draft" in run.stdout + run.stderr
        assert 'delete the line "-- sqlmigrate: draft=on"' in run.stdout + run.stderr
    assert project.value("select to_regclass('a') is null")


def test_the_down_file_of_a_draft_is_refused_by_rollback_and_reported_by_validate(project: Project) -> None:
    project.cli("generate", "add_tags")
    (up,) = project.directory.glob("*.up.sql")
    up.write_text("create table tags (id int);")
    assert project.cli("migrate").returncode == 0

    back = project.cli("rollback", "--steps", "1", "--yes")
    assert (back.returncode, "down.sql:2:1: the file is a draft" in back.stderr) == (1, True)

    for command in (("validate",), ("validate", "migrations")):
        found = project.cli(*command)
        assert (found.returncode, "down.sql:2:1: the file is a draft" in found.stdout) == (1, True)


def test_a_draft_is_applied_after_its_mark_is_deleted(project: Project) -> None:
    project.cli("generate", "add_tags")
    for path in project.directory.iterdir():
        lines = path.read_text().splitlines()
        assert lines[1:] == [
            "-- sqlmigrate: draft=on",
            "-- Write the statements here, and delete this line and the line above.",
        ]
        path.write_text(f"{lines[0]}\nselect 1;\n")

    assert project.cli("migrate").returncode == 0
    assert project.cli("validate").returncode == 0


@pytest.mark.parametrize("text", ["", "-- A comment.\n", ";;", "\\echo hello\n"])
def test_a_file_without_a_statement_is_a_warning(project: Project, text: str) -> None:
    project.add(1, text, "")

    for command in ("validate", "plan", "migrate"):
        run = project.cli(command)
        assert run.returncode == 0
        assert "up.sql: the file contains no statement" in run.stdout + run.stderr
