from __future__ import annotations

import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from sqlmigrate.config.settings import load as load_settings
from sqlmigrate.config.settings import load_for_files
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.lint import Level, settings
from sqlmigrate.lint.rules import RULES
from sqlmigrate.lint.selection import select
from sqlmigrate.lint.settings import LintSettings, load
from sqlmigrate.model import OLDEST_POSTGRES, Version


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_file(text: str) -> LintSettings:
    Path("sqlmigrate.toml").write_text(text)
    return load({}, {})


def test_defaults() -> None:
    assert load({}, {}) == LintSettings()


def test_every_setting_can_be_read() -> None:
    assert {*settings._READERS, "root"} == {field.name for field in fields(LintSettings)}


def test_every_setting_is_read_from_the_table() -> None:
    chosen = in_file(
        """
        [lint]
        preset = "all"
        rules = {index-not-concurrent = "error", check-scans = "off"}
        postgres-version = 16
        files = ["migrations/**"]
        exclude = ["seed_*.sql"]
        since = "2.0.0-004"
        changed_since = "main"
        naming = {table = "[a-z_]+"}
        fail_on = "never"
        """
    )
    assert chosen == LintSettings(
        preset="all",
        rules={"index-not-concurrent": Level.ERROR, "check-scans": None},
        postgres_version=16,
        files=("migrations/**",),
        exclude=("seed_*.sql",),
        since=Version(2, 0, 0, 4),
        changed_since="main",
        naming={"table": "[a-z_]+"},
        fail_on=None,
    )


def test_settings_are_read_from_pyproject() -> None:
    Path("pyproject.toml").write_text('[tool.sqlmigrate.lint]\nfail_on = "error"\n')
    assert load({}, {}).fail_on is Level.ERROR


def test_root_is_the_directory_of_the_configuration_file() -> None:
    Path("conf").mkdir()
    Path("conf/other.toml").write_text('[lint]\npreset = "all"\n')
    assert load({}, {}, "conf/other.toml") == LintSettings(preset="all", root="conf")
    assert load({}, {"SQLMIGRATE_CONFIG": "conf/other.toml"}).root == "conf"


def test_option_overrides_environment_and_environment_overrides_file() -> None:
    Path("sqlmigrate.toml").write_text("[lint]\npostgres_version = 14\n")
    environ = {"SQLMIGRATE_LINT_POSTGRES_VERSION": "15"}
    assert load({}, {}).postgres_version == 14
    assert load({}, environ).postgres_version == 15
    assert load({"postgres_version": "16", "preset": None}, environ).postgres_version == 16


@pytest.mark.parametrize(("said", "major"), [("18", 18), ("16.4", 16), ("160004", 16), ("9", None), ("x", None)])
def test_postgres_version(said: str, major: int | None) -> None:
    if major is not None:
        assert load({"postgres_version": said}, {}).postgres_version == major
        return
    with pytest.raises(ConfigurationError, match=f"--postgres-version: '{said}' is not a PostgreSQL version"):
        load({"postgres_version": said}, {})


@pytest.mark.parametrize("said", ["13", "13.4", "130004", "12", "10"])
def test_a_version_below_14_is_refused_by_name(said: str) -> None:
    major = said[:2]
    with pytest.raises(ConfigurationError, match=f"--postgres-version: PostgreSQL {major} is not supported") as refused:
        load({"postgres_version": said}, {})
    assert refused.value.hint == "write 14 or newer"


def test_no_rule_is_limited_to_versions_below_14() -> None:
    assert [rule.name for rule in RULES if 0 < rule.since <= OLDEST_POSTGRES or rule.until < OLDEST_POSTGRES] == []
    assert [example.sql for rule in RULES for example in rule.examples if example.postgres < OLDEST_POSTGRES] == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("lint = 1", "lint is not a table", "[tool.sqlmigrate.lint]"),
        ("[lint]\npresets = 'all'", "unknown lint setting 'presets'", "did you mean preset?"),
        ("[lint]\nzzz = 1", "unknown lint setting 'zzz'", "valid names: preset, rules"),
        ("[lint]\npreset = 'every'", "lint.preset: invalid value 'every'", "safety, all"),
        ("[lint]\nfail_on = 1", "lint.fail_on: invalid value 1", "never"),
        ("[lint]\nrules = {check-scan = 'off'}", "lint.rules: unknown rule 'check-scan'", "did you mean check-scans?"),
        ("[lint]\nrules = {check-scans = 'fatal'}", "invalid value 'fatal'", "error, warning, notice, info, off"),
        ("[lint]\nrules = ['check-scans']", "is not a table", "name ="),
        ("[lint]\nfiles = 'a/**'", "lint.files: 'a/**' is not a list", "write ["),
        ("[lint]\nnaming = {tables = 'a'}", "unknown kind of name 'tables'", "did you mean table?"),
        ("[lint]\nnaming = {table = '('}", "table = '(' is not a valid regular expression", ""),
        ("[lint]\nsince = '7'", "lint.since: '7' is not a version", "v2.0.0-001"),
    ],
)
def test_invalid_setting_is_reported(text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        in_file(text)
    assert message in caught.value.message
    assert caught.value.message.startswith("sqlmigrate.toml: ")
    assert hint in caught.value.hint


def test_invalid_environment_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match="SQLMIGRATE_LINT_PRESET: invalid value 'x'"):
        load({}, {"SQLMIGRATE_LINT_PRESET": "x"})


def test_other_settings_ignore_the_lint_table() -> None:
    Path("sqlmigrate.toml").write_text("dir = ['m']\n[lint]\npreset = 'all'\n")
    assert load_for_files({}, {}).dir == ("m",)
    assert load_settings({"database_url": "postgresql://x"}, {}).dir == ("m",)


def test_directories_need_no_database() -> None:
    assert load_for_files({}, {}).dir == ("migrations",)
    assert load_for_files({"dir": ("a",)}, {"SQLMIGRATE_DIR": "b"}).dir == ("a",)


def make(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("select 1;")


def test_files_keep_the_order_of_the_arguments_without_duplicates() -> None:
    make("b.sql", "a.sql")
    assert select(["b.sql", "a.sql", "b.sql"], LintSettings()) == ["b.sql", "a.sql"]


def test_directory_selects_all_sql_files_below_it() -> None:
    make("m/b.sql", "m/a.sql", "m/deep/c.SQL", "m/.git/d.sql", "m/.e.sql", "m/f.txt")
    assert select(["m"], LintSettings()) == ["m/a.sql", "m/b.sql", "m/deep/c.SQL"]


def test_missing_file_is_reported() -> None:
    with pytest.raises(ConfigurationError, match=r"file 'x\.sql'"):
        select(["x.sql"], LintSettings())


@pytest.mark.parametrize(
    ("glob", "matched"),
    [
        ("m/*.sql", {"m/a.sql"}),
        ("m/**", {"m/a.sql", "m/deep/b.sql"}),
        ("m/**/b.sql", {"m/deep/b.sql"}),
        ("**/*.sql", {"m/a.sql", "m/deep/b.sql", "c.sql"}),
        ("*.sql", {"m/a.sql", "m/deep/b.sql", "c.sql"}),
        ("m", {"m/a.sql", "m/deep/b.sql"}),
        ("m/", {"m/a.sql", "m/deep/b.sql"}),
        ("./m/deep", {"m/deep/b.sql"}),
        ("?.sql", {"m/a.sql", "m/deep/b.sql", "c.sql"}),
        ("[!ab].sql", {"c.sql"}),
        ("x.sql", set()),
        ("m/a+sql", set()),
    ],
)
def test_globs(glob: str, matched: set[str]) -> None:
    make("m/a.sql", "m/deep/b.sql", "c.sql")
    every = {"m/a.sql", "m/deep/b.sql", "c.sql"}
    assert set(select(["."], LintSettings(files=(glob,)))) == {f"./{path}" for path in matched}
    assert set(select(["."], LintSettings(exclude=(glob,)))) == {f"./{path}" for path in every - matched}


def test_globs_are_relative_to_the_configuration_file(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    make("m/a.sql", "elsewhere/x")
    monkeypatch.chdir("elsewhere")
    assert select([str(here / "m/a.sql")], LintSettings(files=("m/*.sql",), root="..")) == [str(here / "m/a.sql")]
    assert select([str(here / "m/a.sql")], LintSettings(files=("m/*.sql",))) == []


def test_since() -> None:
    make("m/V1.0.0-001__a.up.sql", "m/V1.0.0-002__b.up.sql", "m/R__c.sql", "m/other.sql")
    kept = select(["m"], LintSettings(since=Version(1, 0, 0, 1)))
    assert kept == ["m/R__c.sql", "m/V1.0.0-002__b.up.sql", "m/other.sql"]


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def test_changed_since(monkeypatch: pytest.MonkeyPatch) -> None:
    make("m/same.sql", "m/edited.sql", "m/gone.sql", "m/of main.sql")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "first")
    git("checkout", "-qb", "topic")
    make("m/committed é.sql")
    git("add", ".")
    git("commit", "-qm", "second")
    Path("m/edited.sql").write_text("select 2;")
    Path("m/gone.sql").unlink()
    make("m/new.sql")
    git("branch", "-f", "main", "main")

    chosen = LintSettings(changed_since="main")
    assert select(["m"], chosen) == ["m/committed é.sql", "m/edited.sql", "m/new.sql"]
    monkeypatch.chdir("m")
    assert select(["."], chosen) == ["./committed é.sql", "./edited.sql", "./new.sql"]


def test_changed_since_selects_the_changes_of_this_branch() -> None:
    make("m/a.sql")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "first")
    git("checkout", "-qb", "topic")
    git("checkout", "-q", "main")
    Path("m/a.sql").write_text("select 2;")
    git("commit", "-qam", "on main only")
    git("checkout", "-q", "topic")
    assert select(["m"], LintSettings(changed_since="main")) == []


def test_git_error_is_reported() -> None:
    make("m/a.sql")
    git("init", "-q")
    with pytest.raises(ConfigurationError, match="git could not report what changed") as caught:
        select(["m"], LintSettings(changed_since="--nowhere"))
    assert caught.value.hint == (
        "give --changed-since a commit or a branch; in CI, fetch the whole history (fetch-depth: 0)"
    )


def test_missing_git_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    make("m/a.sql")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="could not run git"):
        select(["m"], LintSettings(changed_since="main"))


def test_a_configuration_may_name_a_removed_rule() -> None:
    settings = in_file('[lint.rules]\nduplicate-name = "off"\ncheck-scans = "off"\n')
    assert settings.rules == {"check-scans": None}
