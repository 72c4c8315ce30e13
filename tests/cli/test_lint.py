"""`validate` of files, and `rules`: without a database, on the command line as it is."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sqlmigrate.lint.rules import RULES
from tests.scratch import Scratch, environment
from tests.servers import ROOT

INDEX = "create index i on t (a);\n"
RULE = "index-not-concurrent"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path)


def test_json(scratch: Scratch) -> None:
    scratch.write("a.sql", "select 1;\n  " + INDEX)
    shown = scratch.json("validate", "--file", "a.sql")
    (finding,) = shown["findings"]
    assert shown["version"] == 1
    assert {"file", "line", "column", "rule", "level", "message", "decided_by"} <= {*finding}
    assert (finding["file"], finding["line"], finding["column"]) == ("a.sql", 2, 3)
    assert (finding["rule"], finding["level"], finding["decided_by"]) == (RULE, "warning", "file")


def test_text(scratch: Scratch) -> None:
    scratch.write("a.sql")
    done = scratch.run("validate", "a.sql")
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout.startswith("warning: a.sql:1:1: CREATE INDEX")
    assert done.stdout.endswith("1 warning in 1 file\n")


def test_findings_in_many_files_are_kept_in_the_cache(scratch: Scratch) -> None:
    for number in range(50):
        scratch.write(f"migrations/V1.0.0-{number:03d}__i.up.sql")
    cache = scratch.root / "cache"
    first = scratch.json("validate", "migrations", XDG_CACHE_HOME=str(cache), SQLMIGRATE_LINT_MEMORY="off")
    assert not cache.exists()
    for _ in range(2):
        assert scratch.json("validate", "migrations", XDG_CACHE_HOME=str(cache)) == first
    assert len(list((cache / "sqlmigrate" / "lint").iterdir())) == 1


def test_options_and_arguments_name_files_alike(scratch: Scratch) -> None:
    for name in ("a.sql", "b.sql", "c.sql"):
        scratch.write(name)
    findings = scratch.json("validate", "--file", "c.sql", "--file", "a.sql", "b.sql")["findings"]
    assert [finding["file"] for finding in findings] == ["c.sql", "a.sql", "b.sql"]


def test_findings_are_grouped_by_file_in_line_order(scratch: Scratch) -> None:
    scratch.write("a.sql", f"-- sqlmigrate: ignore=syntax\nselect 1;\n{INDEX}")
    assert [rule for rule, _ in scratch.rules("a.sql")] == ["unused-ignore", RULE]


def test_directory_and_earlier_files(scratch: Scratch) -> None:
    scratch.write("migrations/V1.0.0-001__a.up.sql", "create table t (a varchar(50) not null);")
    scratch.write("migrations/2/V1.0.0-002__b.up.sql", "alter table t alter a type varchar(100);")
    scratch.write("migrations/2/V1.0.0-003__c.up.sql", "alter table t alter a type varchar(60);")
    findings = scratch.json("validate", "migrations")["findings"]
    assert {(finding["file"], finding["decided_by"]) for finding in findings} == {
        ("migrations/2/V1.0.0-003__c.up.sql", "earlier files")
    }


def test_clean_is_0_findings_1_usage_2(scratch: Scratch) -> None:
    scratch.write("clean.sql", "create table t (a int);")
    scratch.write("a.sql")
    assert scratch.run("validate", "clean.sql").stdout == "no findings in 1 file\n"
    codes = [scratch.run("validate", name).returncode for name in ("clean.sql", "a.sql", "missing.sql")]
    assert codes == [0, 1, 2]
    assert scratch.run("validate", "a.sql", "--preset", "none").returncode == 2
    assert scratch.run("validate", "a.sql", "--format", "none").returncode == 2


@pytest.mark.parametrize(
    ("sql", "codes"),
    [
        (INDEX, {"error": 0, "warning": 1, "notice": 1, "info": 1, "never": 0}),
        ("selec 1;", {"error": 1, "warning": 1, "notice": 1, "info": 1, "never": 0}),
        ("alter table t alter a type varchar(60);", {"error": 0, "warning": 0, "notice": 0, "info": 1, "never": 0}),
    ],
)
def test_fail_on(scratch: Scratch, sql: str, codes: dict[str, int]) -> None:
    scratch.write("a.sql", sql)
    for level, code in codes.items():
        assert scratch.run("validate", "a.sql", "--fail-on", level).returncode == code


def test_configuration(scratch: Scratch) -> None:
    scratch.write("a.sql", INDEX + "alter table t add constraint c check (a > 0);")
    scratch.write("sqlmigrate.toml", '[lint]\nrules = {index-not-concurrent = "error", check-scans = "off"}\n')
    assert scratch.rules("a.sql") == [(RULE, "error")]


def test_slip_in_the_configuration(scratch: Scratch) -> None:
    scratch.write("a.sql")
    scratch.write("pyproject.toml", '[tool.sqlmigrate.lint]\nrules = {index-concurrent = "error"}\n')
    done = scratch.run("validate", "a.sql")
    assert done.returncode == 2
    assert "unknown rule 'index-concurrent'" in done.stderr
    assert "did you mean index-not-concurrent?" in done.stderr


def test_postgres_version(scratch: Scratch) -> None:
    scratch.write("a.sql")
    assert scratch.rules("a.sql", "--postgres-version", "15") == [(RULE, "warning")]
    assert scratch.run("validate", "a.sql", SQLMIGRATE_LINT_POSTGRES_VERSION="x").returncode == 2
    assert scratch.run("validate", "a.sql", SQLMIGRATE_LINT_FAIL_ON="error").returncode == 0


def test_preset(scratch: Scratch) -> None:
    styled = next(rule for rule in RULES if rule.level.value == "notice")
    example = next(example for example in styled.examples if example.bad)
    scratch.write("V1.0.0-001__earlier.up.sql", example.earlier)
    scratch.write(example.name, example.sql)
    assert (styled.name, "notice") in scratch.rules(example.name, "--preset", "all")
    assert (styled.name, "notice") not in scratch.rules(example.name)


def test_changed_since(scratch: Scratch) -> None:
    scratch.write("migrations/V1.0.0-001__old.up.sql")
    scratch.git("init", "-q", "-b", "main")
    scratch.git("add", ".")
    scratch.git("commit", "-qm", "first")
    scratch.write("migrations/V1.0.0-002__new.up.sql", "create index k on t (b);")
    scratch.write("migrations/V1.0.0-003__newer.up.sql", "create table n (a int);")
    scratch.write("migrations/V1.0.0-004__newest.up.sql", "create index n_a on n (a);")
    shown = scratch.json("validate", "--changed-since", "main")
    assert [finding["file"] for finding in shown["findings"]] == ["migrations/V1.0.0-002__new.up.sql"]
    assert scratch.run("validate", "--changed-since", "nowhere").returncode == 2


@pytest.mark.parametrize(
    "arguments", [("--preset", "all"), ("--fix",), ("--fail-on", "error"), ("--format", "sarif"), ("--replay",)]
)
def test_options_for_files_require_files(scratch: Scratch, arguments: tuple[str, ...]) -> None:
    done = scratch.run("validate", *arguments)
    assert done.returncode == 2
    assert f"{arguments[0]}" in done.stderr
    assert "requires files" in done.stderr


def test_dry_run_and_files_cannot_be_combined(scratch: Scratch) -> None:
    scratch.write("a.sql")
    assert scratch.run("validate", "a.sql", "--dry-run").returncode == 2


def test_without_files_validate_compares_files_and_history(scratch: Scratch) -> None:
    done = scratch.run("validate")
    assert done.returncode == 2
    assert "no database is configured" in done.stderr


@pytest.mark.parametrize("name", ["github", "gitlab", "sarif", "junit", "gcc", "markdown"])
def test_formats(scratch: Scratch, name: str) -> None:
    scratch.write("a.sql")
    done = scratch.run("validate", "a.sql", "--format", name)
    assert (done.returncode, done.stderr) == (1, "")
    assert RULE in done.stdout
    assert scratch.run("validate", "a.sql", "--format", name, "--fix").returncode == 2


def test_linting_loads_no_database_modules(scratch: Scratch) -> None:
    scratch.write("a.sql")
    heavy = "'psycopg', 'jinja2', 'postgast', 'google.protobuf', 'asyncio', 'prometheus_client'"
    program = (
        "import sys; sys.argv[1:] = ['validate', 'a.sql']\n"
        "from sqlmigrate.cli import main\n"
        "try: main()\n"
        f"finally: print([name for name in ({heavy}) if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    url = "postgresql://nobody@127.0.0.1:1/none"
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=scratch.root,
        env=environment(DATABASE_URL=url),
    )
    assert (done.returncode, done.stderr) == (1, "[]\n")


def test_fix_shows_a_diff_and_writes_only_after_confirmation(scratch: Scratch) -> None:
    file = scratch.write("a.sql")
    done = scratch.run("validate", "--fix", "a.sql")
    assert done.returncode == 2
    assert "+create index concurrently i on t (a);" in done.stdout
    assert "nothing was changed" in done.stderr
    assert file.read_text() == INDEX

    done = scratch.run("validate", "a.sql", "--fix", "--yes")
    assert done.returncode == 0
    assert done.stdout.endswith("no findings in 1 file\n")
    assert file.read_text() == "create index concurrently i on t (a);\n"
    assert "nothing to fix" in scratch.run("validate", "a.sql", "--fix").stdout


def test_fix_prompts_on_a_terminal(scratch: Scratch) -> None:
    file = scratch.write("a.sql")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "sqlmigrate", "validate", "a.sql", "--fix"]
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, cwd=scratch.root, env=environment()
    )
    os.close(follower)
    os.write(leader, b"y\n")
    screen = b""
    with contextlib.suppress(OSError):  # so Linux says that the other side is closed
        while block := os.read(leader, 4096):
            screen += block
    os.close(leader)
    assert process.wait() == 0
    assert b"Write these changes?" in screen
    assert "concurrently" in file.read_text()


def test_fix_with_comments(scratch: Scratch) -> None:
    file = scratch.write("a.sql", INDEX + "alter table t alter a type varchar(60);\n")
    shown = scratch.json("validate", "a.sql", "--fix=ignore", "--yes")
    assert [fix["file"] for fix in shown["fixes"]] == ["a.sql"]
    assert {finding["level"] for finding in shown["findings"]} <= {"info", "notice"}
    assert file.read_text().startswith(f"-- sqlmigrate: ignore={RULE}\n{INDEX}alter")


def test_rules(scratch: Scratch) -> None:
    done = scratch.run("rules")
    assert done.returncode == 0
    assert all(rule.name in done.stdout for rule in RULES)
    assert len(scratch.json("rules")["rules"]) == len(RULES)
    assert scratch.run("rules", "--format", "markdown").stdout == (ROOT / "docs" / "rules.md").read_text()


def test_rule(scratch: Scratch) -> None:
    done = scratch.run("rules", RULE)
    assert done.stdout.startswith(f"{RULE}  warning\n")
    assert "create index concurrently" in done.stdout
    assert scratch.json("rules", RULE)["rule"]["name"] == RULE


def test_no_such_rule(scratch: Scratch) -> None:
    done = scratch.run("rules", "index-concurrent")
    assert done.returncode == 2
    assert "did you mean index-not-concurrent?" in done.stderr


def hook() -> dict[str, Any]:
    own, _ = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert isinstance(own, dict)
    return own


def pre_commit(scratch: Scratch, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pre_commit", *arguments]
    home = str(scratch.root / "home")
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=scratch.root,
        env=environment(PRE_COMMIT_HOME=home, GIT_CONFIG_GLOBAL=os.devnull),
    )


def test_pre_commit_accepts_the_hook(scratch: Scratch) -> None:
    done = pre_commit(scratch, "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    assert done.returncode == 0, done.stdout
    assert (hook()["id"], hook()["require_serial"]) == ("sqlmigrate-validate", True)


def test_pre_commit(scratch: Scratch) -> None:
    """The hook as it is, but in this environment: to make one of its own pre-commit would fetch packages."""
    here = {"language": "system", "entry": f"{sys.executable} -m {hook()['entry']}", "verbose": True}
    local = {key: value for key, value in hook().items() if key != "additional_dependencies"} | here
    scratch.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]}))
    scratch.git("init", "-q")
    scratch.write("migrations/V1.0.0-001__a.up.sql", "create table t (a int);")
    scratch.write("migrations/V1.0.0-002__b.up.sql", "create table u (a int);")
    scratch.write("notes.txt", "no SQL")
    scratch.git("add", ".")
    done = pre_commit(scratch, "run", "--all-files")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("no findings in 2 files") == 1  # one process for all files

    scratch.git("commit", "-qm", "first")
    scratch.write("migrations/V1.0.0-003__c.up.sql")
    scratch.git("add", ".")
    done = pre_commit(scratch, "run")
    assert done.returncode == 1
    assert "migrations/V1.0.0-003__c.up.sql:1:1" in done.stdout
    assert "in 1 file" in done.stdout


def test_malformed_files_are_findings_and_never_a_traceback(scratch: Scratch) -> None:
    odd = {
        "a.sql": b"select '\xff';",
        "b.sql": b"select 1;\0",
        "c.sql": b"",
        "d.sql": b"\xef\xbb\xbf\r\n",
        "e.sql": b"(" * 100_000,
        "f.sql": b"select 1" + b"+1" * 100_000,
        "g.sql": INDEX.encode().replace(b"\n", b"\r\n"),
    }
    for name, content in odd.items():
        (scratch.root / name).write_bytes(content)
    for name in ("text", "json", "github", "gitlab", "sarif", "junit", "gcc", "markdown"):
        done = scratch.run("validate", *odd, "--format", name)
        assert (done.returncode, done.stderr) == (1, "")
    found = scratch.json("validate", *odd)["findings"]
    assert [(finding["file"], finding["rule"]) for finding in found] == [
        *((name, "syntax") for name in ("a.sql", "b.sql", "e.sql", "f.sql")),
        ("g.sql", RULE),
    ]
