from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from sqlmigrate.config.options import OPTIONS
from sqlmigrate.config.settings import Settings, load
from sqlmigrate.errors import ConfigurationError

URL = {"database_url": "postgresql://option"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _database(given: Mapping[str, str], environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    settings = load(given, environ)
    return settings.database, dict(settings.connection_parts)


def test_the_defaults_are_those_of_the_help() -> None:
    assert load(URL, {}) == Settings(database="postgresql://option")
    said = {option.name: match[1] for option in OPTIONS if (match := re.search(r"\[default: ([\w.]+)", option.help))}
    shown = {"dir": "migrations", "history_table": "public.migrations", "lock_retries": "10", "lock_wait": "5min"}
    shown |= {"lock_timeout": "5s", "statement_timeout": "0", "timeout": "0", "log_format": "text", "backup_keep": "0"}
    shown |= {"lint_level": "off", "connect_wait": "0", "parallel": "1"}
    assert said == shown
    assert load(URL | said, {}) == load(URL, {})


OF_SETTINGS = [
    ("dir", "1", ("1",)),
    ("history_table", "1", "1"),
    ("connect_wait", "1s", 1000),
    ("lock_wait", "1s", 1000),
    ("lock_timeout", "1s", 1000),
    ("lock_retries", "1", 1),
    ("parallel", "2", 2),
    ("statement_timeout", "1s", 1000),
    ("timeout", "1s", 1000),
    ("log_format", "1", "1"),
    ("log_file", "1", "1"),
    ("backup", "1", "1"),
    ("backup_keep", "1", 1),
    ("notify_url", "1", "1"),
    ("push", "1", "1"),
]
OF_FILES = [
    "notify_command",
    "password_command",
    "require_approval",
    "drift_ignore",
    "keep_running",
    "log_level",
    "format",
    "allow_paths",
]
OF_CONNECTION = [
    ("db_host", "host"),
    ("db_port", "port"),
    ("db_user", "user"),
    ("db_name", "dbname"),
]


def test_the_variable_of_alertagent_sets_parallel_and_our_own_one_overrides_it() -> None:
    assert load(URL, {"MIGRATION_CONCURRENCY": "2"}).parallel == 2
    assert load(URL, {"MIGRATION_CONCURRENCY": "2", "SQLMIGRATE_PARALLEL": "3"}).parallel == 3
    assert load({**URL, "parallel": "4"}, {"MIGRATION_CONCURRENCY": "2"}).parallel == 4


@pytest.mark.parametrize(("text", "message"), [("0", "must be at least 1"), ("two", "is not a number")])
def test_parallel_is_a_positive_number(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"MIGRATION_CONCURRENCY: .*{message}"):
        load(URL, {"MIGRATION_CONCURRENCY": text})


def test_every_option_is_tested() -> None:
    tested = {"database_url", *(name for name, *_ in OF_SETTINGS), *(name for name, _ in OF_CONNECTION), *OF_FILES}
    assert {option.name for option in OPTIONS} == tested | {"db_password", "db_password_file", "lint_level"}
    assert [option.name for option in OPTIONS if not option.metavar] == OF_FILES


def test_lint_level_is_read(here: Path) -> None:
    """In the file it stands beside the linter's own table, which has its name."""
    (here / "sqlmigrate.toml").write_text(
        'lint_level = "info"\n[lint]\npreset = "all"\n[environments.p]\nlint_level = "error"\n'
    )
    assert load(URL, {}).lint_level == "info"
    assert load(URL, {}, environment="p").lint_level == "error"
    for name in ("SQLMIGRATE_LINT", "SQLMIGRATE_LINT_LEVEL"):
        assert load(URL, {name: "notice"}).lint_level == "notice"
    found = load({**URL, "lint_level": "warning"}, {"SQLMIGRATE_LINT": "notice", "SQLMIGRATE_LINT_PRESET": "all"})
    assert found.lint_level == "warning"
    assert (found.lint.path, found.lint.content, found.lint.environ) == (
        "sqlmigrate.toml",
        {"preset": "all"},
        {"SQLMIGRATE_LINT_PRESET": "all"},
    )
    with pytest.raises(ConfigurationError, match="lint-level: 'never' is not one of off, error, warning, notice, info"):
        load({**URL, "lint_level": "never"}, {})


@pytest.mark.parametrize(("name", "text", "value"), OF_SETTINGS)
def test_an_option_overrides_the_environment_which_overrides_the_file(
    here: Path, name: str, text: str, value: object
) -> None:
    others = {"file": text.replace("1", "2"), "environ": text.replace("1", "3")}
    (here / "sqlmigrate.toml").write_text(f'{name.replace("_", "-")} = "{text}"')
    assert getattr(load(URL, {}), name) == value
    (here / "sqlmigrate.toml").write_text(f'{name} = "{others["file"]}"')
    environ = {f"SQLMIGRATE_{name.upper()}": text}
    assert getattr(load(URL, environ), name) == getattr(load({**URL, name: None}, environ), name) == value
    environ = {f"SQLMIGRATE_{name.upper()}": others["environ"]}
    assert getattr(load({**URL, name: text}, environ), name) == value


@pytest.mark.parametrize(("name", "part"), OF_CONNECTION)
def test_a_part_of_the_connection_has_two_variables(here: Path, name: str, part: str) -> None:
    (here / "sqlmigrate.toml").write_text(f'{name} = "file"')
    environ: dict[str, str] = {}
    assert _database({}, environ) == ("", {part: "file"})
    environ[name.upper()] = "short"
    assert _database({}, environ) == ("", {part: "short"})
    environ[f"SQLMIGRATE_{name.upper()}"] = "own"
    assert _database({}, environ) == ("", {part: "own"})
    assert _database({name: "option"}, environ) == ("", {part: "option"})


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ({}, {"DATABASE_URL": "u"}, ("u", {})),
        ({}, {"SQLMIGRATE_DATABASE_URL": "s", "DATABASE_URL": "u"}, ("s", {})),
        (URL, {"DATABASE_URL": "u"}, ("postgresql://option", {})),
        ({}, {"DATABASE_URL": "embedded:x"}, ("embedded:x", {})),
        ({"db_name": "d"}, {"DATABASE_URL": "u", "DB_NAME": "e", "DB_PORT": "1"}, ("u", {"dbname": "d", "port": "1"})),
        (URL, {"DB_NAME": "e"}, ("postgresql://option", {})),
        ({"db_host": "h"}, {"DB_NAME": "e"}, ("", {"host": "h", "dbname": "e"})),
        ({}, {"PGSERVICE": "s"}, ("", {})),
        ({}, {"PGDATABASE": "d"}, ("", {})),
    ],
)
def test_parts_override_a_url_of_the_same_or_lower_priority(
    given: Mapping[str, str], environ: Mapping[str, str], expected: tuple[str, dict[str, str]]
) -> None:
    assert _database(given, environ) == expected


@pytest.mark.parametrize("environ", [{}, {"PGPASSWORD": "x"}, {"DATABASE_URL": ""}, {"PGHOST": ""}])
def test_without_a_database_the_error_names_the_settings(environ: Mapping[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="no database is configured") as caught:
        load({"dir": ("m",)}, environ)
    assert "DATABASE_URL" in caught.value.hint


def test_several_directories_are_accepted() -> None:
    assert load({**URL, "dir": ("a", "b")}, {"SQLMIGRATE_DIR": "c"}).dir == ("a", "b")
    assert load({**URL, "dir": ()}, {"SQLMIGRATE_DIR": "c:d:"}).dir == ("c", "d")


@pytest.mark.parametrize(
    ("content", "expected"),
    [('dir = "m"', ("conf/m",)), ('dir = ["m", "n:o"]', ("conf/m", "conf/n:o"))],
)
def test_directories_in_a_file_are_relative_to_it(here: Path, content: str, expected: tuple[str, ...]) -> None:
    (here / "conf").mkdir()
    (here / "conf" / "x.toml").write_text(content)
    assert load(URL, {}, "conf/x.toml").dir == expected
    assert load(URL, {"SQLMIGRATE_CONFIG": "conf/x.toml"}).dir == expected


@pytest.mark.parametrize(("name", "prefix"), [("sqlmigrate.toml", ""), ("pyproject.toml", "tool.sqlmigrate.")])
def test_a_file_has_named_environments(here: Path, name: str, prefix: str) -> None:
    head = f"[{prefix[:-1]}]\n" if prefix else ""
    (here / name).write_text(
        f'{head}lock_wait = "1s"\nlock-timeout = "1s"\ndatabase-url = "u"\n'
        f'[{prefix}environments.production]\nlock-wait = "2s"\ndatabase_url = "p"\n'
    )
    plain, production = load({}, {}), load({}, {"SQLMIGRATE_ENV": "production"})
    assert (plain.database, plain.lock_wait, plain.lock_timeout) == ("u", 1000, 1000)
    assert (production.database, production.lock_wait, production.lock_timeout) == ("p", 2000, 1000)
    assert load({}, {}, environment="production") == production
    assert load({}, {"SQLMIGRATE_ENV": ""}) == plain
    with pytest.raises(ConfigurationError, match="environment 'test' does not exist in") as caught:
        load({}, {}, environment="test")
    assert caught.value.hint == "its environments: production"


def test_a_pyproject_without_a_table_for_sqlmigrate_is_ignored(here: Path) -> None:
    (here / "pyproject.toml").write_text("this is no TOML")
    assert load(URL, {}) == Settings(database="postgresql://option")


def test_sqlmigrate_toml_takes_precedence_over_pyproject_toml(here: Path) -> None:
    (here / "pyproject.toml").write_text('[tool.sqlmigrate]\nlock-wait = "1s"')
    (here / "sqlmigrate.toml").write_text('lock-wait = "2s"')
    assert load(URL, {}).lock_wait == 2000


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ('lock_timeot = "1s"', "unknown setting 'lock_timeot'", "did you mean lock_timeout?"),
        ("data-base-url = 'x'", "unknown setting 'data-base-url'", "did you mean database_url?"),
        ("zzz = 1", "unknown setting 'zzz'", "valid names: database_url, db_host"),
        ('lock-wait = "soon"', "sqlmigrate.toml: lock_wait: 'soon' is not a duration", "unit"),
        ("lock-wait = 5", "sqlmigrate.toml: lock_wait: '5' is not a duration", "unit"),
        ('lock-wait = ["5s"]', "sqlmigrate.toml: lock_wait: .* is not a duration", "unit"),
        ("lock-retries = -1", "sqlmigrate.toml: lock_retries: '-1' is not a number", ""),
        ('lock-retries = "²"', "sqlmigrate.toml: lock_retries: '²' is not a number", ""),
        ("lock-retries = " + "1" * 5000, "lock_retries: |integer string", ""),
        ('lock-retries = "' + "1" * 5000 + '"', "sqlmigrate.toml: lock_retries: the number is too large", ""),
        ('timeout = "99999999999999d"', "timeout: .* is too long", "24d"),
        ("dir = []", "sqlmigrate.toml: dir: no directory is given", ""),
        ('log_level = "loud"', "sqlmigrate.toml: log_level: 'loud' is not one of error, warning, info, debug", ""),
        ('format = "markdown"', "format: 'markdown' is not one of text, json", ""),
        ("environments = 3", "environments must be tables", r"[environments.NAME]"),
        ("[environments]\nproduction = 1", "environments must be tables", r"[environments.NAME]"),
        ("a = ", "sqlmigrate.toml: ", ""),
    ],
)
def test_an_invalid_value_in_a_file_is_refused(here: Path, content: str, message: str, hint: str) -> None:
    (here / "sqlmigrate.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(URL, {})
    assert hint in caught.value.hint


@pytest.mark.parametrize("content", ["tool = 3 # [tool.sqlmigrate]", "[tool]\nsqlmigrate = 3", "tool.sqlmigrate = [1]"])
def test_tool_sqlmigrate_must_be_a_table(here: Path, content: str) -> None:
    (here / "pyproject.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=r"pyproject.toml: (tool|sqlmigrate) is not a table"):
        load(URL, {})


def test_an_unreadable_file_is_reported(here: Path) -> None:
    (here / "pyproject.toml").symlink_to("/proc/self/mem")  # a file that not even root can read from its start
    with pytest.raises(ConfigurationError, match=r'could not read file "pyproject.toml": Input/output error'):
        load(URL, {})


def test_no_directories_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="SQLMIGRATE_DIR: no directory is given"):
        load(URL, {"SQLMIGRATE_DIR": ":"})


def test_the_file_may_set_the_output_format(here: Path) -> None:
    (here / "sqlmigrate.toml").write_text('log-level = "error"\nformat = "json"')
    assert (load(URL, {}).log_level, load(URL, {}).format) == ("error", "json")
    assert load({**URL, "log_level": "debug"}, {}).log_level == "debug"


def test_an_environment_must_exist(here: Path) -> None:
    (here / "sqlmigrate.toml").write_text("[environments.other]")
    with pytest.raises(ConfigurationError, match="environment 'production' does not exist in"):
        load(URL, {}, environment="production")


def test_a_file_that_is_not_utf_8_is_refused(here: Path) -> None:
    (here / "sqlmigrate.toml").write_bytes(b"dir = '\xe9'")
    with pytest.raises(ConfigurationError, match=r"sqlmigrate\.toml: .*utf-8"):
        load(URL, {})


def test_a_named_file_must_exist() -> None:
    with pytest.raises(ConfigurationError, match=r'could not read file "no\.toml": No such file'):
        load(URL, {}, "no.toml")


def test_an_environment_needs_a_file() -> None:
    with pytest.raises(ConfigurationError, match="environment 'production' requires a configuration file"):
        load(URL, {}, environment="production")


def test_settings_do_not_show_a_password() -> None:
    settings = load({"database_url": "postgresql://u:secret@h/d", "db_password": "secret"}, {})
    assert "secret" not in repr(settings)


def test_an_environment_that_is_not_selected_is_checked_too(here: Path) -> None:
    (here / "sqlmigrate.toml").write_text("[environments.production]\nlock_wiat = '1s'\n")
    with pytest.raises(ConfigurationError, match="lock_wiat") as failed:
        load({"database_url": "x"}, {})
    assert failed.value.hint == "did you mean lock_wait?"


FILE = {"database_url": "f", "db_password": "p-file", "db_password_file": "of-file"}


@pytest.mark.parametrize(
    ("given", "environ", "in_file", "expected"),
    [
        ({"db_password": "o"}, {"DB_PASSWORD": "e"}, FILE, [("db_password", "o")]),
        ({"db_password_file": "o"}, {"DB_PASSWORD": "e"}, FILE, [("db_password_file", "o")]),
        ({}, {"DB_PASSWORD": "e", "DB_PASSWORD_FILE": "ef", "DATABASE_URL": "u"}, FILE, [("db_password", "e")]),
        ({}, {"DB_PASSWORD_FILE": "ef", "DATABASE_URL": "u"}, FILE, [("db_password_file", "ef")]),
        ({}, {"SQLMIGRATE_DB_PASSWORD_FILE": "s", "DB_PASSWORD_FILE": "ef"}, {}, [("db_password_file", "s")]),
        (URL, {"DB_PASSWORD": "e"}, FILE, [("database_url", "postgresql://option"), ("db_password", "e")]),
        ({}, {"DATABASE_URL": "u"}, FILE, [("database_url", "u"), ("db_password", "p-file")]),
        ({}, {}, {"database_url": "f", "db_password_file": "x"}, [("db_password_file", "x")]),
        (URL, {"DATABASE_URL": "u"}, {"database_url": "f"}, []),
    ],
)
def test_the_password_settings_are_read(
    here: Path,
    given: Mapping[str, str],
    environ: Mapping[str, str],
    in_file: Mapping[str, str],
    expected: list[tuple[str, str]],
) -> None:
    (here / "sqlmigrate.toml").write_text("\n".join(f'{name} = "{text}"' for name, text in in_file.items()))
    settings = load(given, {"PGHOST": "h", **environ})
    assert settings.passwords == tuple(expected)
    assert "password" not in dict(settings.connection_parts)


PATHS = {
    "dir": "dir",
    "backup": "backup",
    "log_file": "log_file",
    "db_password_file": "passwords",
    "database_url": "database",
}


def _in_file(name: str, path: str) -> str:
    return f'{name} = "{"embedded:" if name == "database_url" else ""}{path}"\n'


def _paths(content: str, **given: str) -> dict[str, str]:
    """The paths in force, as text, with a file in `conf`."""
    Path("conf").mkdir(exist_ok=True)
    Path("conf/x.toml").write_text(content)
    settings = load({**({} if "embedded" in content else URL), **given}, {}, "conf/x.toml")
    return {name: str(getattr(settings, attribute)) for name, attribute in PATHS.items()}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("path", ["a", "a/b.c", "./a", "a/../b", "..a"])
def test_a_path_in_a_file_is_relative_to_it(name: str, path: str) -> None:
    assert f"conf/{path}" in _paths(_in_file(name, path))[name]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("path", ["..", "../a", "/etc/x", "a/../../b", "link", "link/x", "link/../x", "/", "../config"])
def test_a_path_in_a_file_must_stay_inside_the_project(here: Path, name: str, path: str) -> None:
    (here / "conf").mkdir()
    (here / "conf" / "link").symlink_to("/usr/lib")
    with pytest.raises(ConfigurationError, match=rf'^conf/x\.toml: {name} is outside the project directory: "/') as no:
        _paths(_in_file(name, path))
    assert no.value.message.endswith(f'"{(here / "conf" / path).resolve()}"')
    assert "allow_paths = [" in no.value.hint

    allowed = no.value.hint.partition("conf/x.toml: ")[2]
    assert path in _paths(f"{allowed}\n{_in_file(name, path)}")[name]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("allowed", ['["/nowhere", "../beside"]', '"../beside"', '["link"]'])
def test_allow_paths_permits_paths_outside_the_project(here: Path, name: str, allowed: str) -> None:
    for directory in ("conf", "beside", "besides"):
        (here / directory).mkdir()
    (here / "conf" / "link").symlink_to("../beside")
    assert "../beside/x" in _paths(f"allow-paths = {allowed}\n{_in_file(name, '../beside/x')}")[name]
    with pytest.raises(ConfigurationError, match="is outside"):
        _paths(f"allow-paths = {allowed}\n{_in_file(name, '../besides/x')}")


@pytest.mark.parametrize("name", PATHS)
def test_an_absolute_path_inside_the_project_is_accepted(here: Path, name: str) -> None:
    assert str(here / "conf" / "x") in _paths(_in_file(name, str(here / "conf" / "x")))[name]


def test_a_project_behind_a_symbolic_link_is_accepted(here: Path) -> None:
    (here / "real").mkdir()
    (here / "conf").symlink_to("real")
    assert _paths('dir = "m"')["dir"] == "('conf/m',)"


@pytest.mark.parametrize("second", ["dir = ['m', '../n']", "dir = ['.:/etc', '/etc']"])
def test_each_of_several_paths_is_checked(second: str) -> None:
    with pytest.raises(ConfigurationError, match="dir is outside"):
        _paths(second)


def test_a_path_with_a_colon_in_a_file_is_one_path() -> None:
    assert _paths('dir = ".:/etc"')["dir"] == "('conf/.:/etc',)"


def test_the_paths_of_an_environment_are_checked_when_it_is_selected(here: Path) -> None:
    (here / "sqlmigrate.toml").write_text('[environments.production]\nbackup = "/var/backups"\n')
    assert load(URL, {}).backup == ""
    with pytest.raises(ConfigurationError, match="backup is outside"):
        load(URL, {}, environment="production")
    (here / "sqlmigrate.toml").write_text(
        'allow_paths = ["/var"]\n[environments.production]\nbackup = "/var/backups"\n'
    )
    assert load(URL, {}, environment="production").backup == "/var/backups"


@pytest.mark.parametrize("name", PATHS)
def test_options_and_environment_may_use_any_path(here: Path, name: str) -> None:
    path = "embedded:/x/y" if name == "database_url" else "/x/y"
    host = {} if name == "database_url" else {"PGHOST": "h"}
    (here / "sqlmigrate.toml").write_text("")
    for settings in (load({name: path}, host), load({}, {f"SQLMIGRATE_{name.upper()}": path, **host})):
        assert path in str(getattr(settings, PATHS[name]))


def test_only_embedded_databases_are_paths(here: Path) -> None:
    (here / "sqlmigrate.toml").write_text('database_url = "postgresql:///d?host=/run/postgresql&sslrootcert=/etc/ca"')
    assert load({}, {}).database.endswith("/etc/ca")


@pytest.mark.parametrize("name", ["dir", "log_file", "lock_wait", "notify_command"])
def test_a_setting_with_a_nul_is_refused(here: Path, name: str) -> None:
    (here / "sqlmigrate.toml").write_text(f'{name} = "a\\u0000b"\n')
    with pytest.raises(ConfigurationError, match=f"{name} contains a NUL"):
        load(URL, {})


@pytest.mark.parametrize("name", ["notify_command", "password_command"])
def test_a_command_is_a_list_of_words(here: Path, name: str) -> None:
    (here / "sqlmigrate.toml").write_text(f'{name} = ["a b", "c"]\n')
    assert getattr(load(URL, {}), name) == ("a b", "c")
    for value in ('"a b"', '""', "1"):
        (here / "sqlmigrate.toml").write_text(f"{name} = {value}\n")
        with pytest.raises(ConfigurationError, match=f"sqlmigrate.toml: {name}: .* is not a list"):
            load(URL, {})


@pytest.mark.parametrize("name", OF_FILES)
def test_settings_of_the_file_only_have_no_variable(name: str) -> None:
    assert load(URL, {f"SQLMIGRATE_{name.upper()}": "True"}) == load(URL, {})
