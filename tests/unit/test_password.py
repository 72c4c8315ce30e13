from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from sqlmigrate.config import password
from sqlmigrate.config.password import password_for
from sqlmigrate.config.settings import Settings
from sqlmigrate.errors import ConfigurationError

SECRET = "s3cr3t é '\"@:/%"  # noqa: S105  # of nobody


@pytest.fixture(autouse=True)
def _unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.delenv("PGPASSFILE", raising=False)
    password._from_command.cache_clear()


def of_file(path: Path, *, in_url: bool = False) -> str | None:
    return password_for(Settings(passwords=(("db_password_file", str(path)),)), in_url=in_url)


def of_command(*words: str, in_url: bool = False) -> str | None:
    return password_for(Settings(password_command=words), in_url=in_url)


def script(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", text


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_password_is_the_text_of_the_file_without_the_last_newline(tmp_path: Path, end: str) -> None:
    (tmp_path / "p").write_bytes(f" {SECRET}\n {end}".encode())
    assert of_file(tmp_path / "p") == f" {SECRET}\n "


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    for text in ("old", "new"):
        (tmp_path / "p").write_text(text)
        assert of_file(tmp_path / "p") == text


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    writer = threading.Thread(target=(tmp_path / "p").write_text, args=(f"{SECRET}\n",))
    writer.start()
    assert [of_file(tmp_path / "p"), of_file(tmp_path / "p")] == [SECRET, SECRET]
    writer.join()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "could not read password file .*: No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"s3cr3t\xe9", "is not UTF-8"),
        (b"s3cr3t\0", "is not text"),
    ],
)
def test_a_file_without_a_password_is_named_and_not_shown(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "p").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as failed:
        of_file(tmp_path / "p")
    assert str(tmp_path / "p") in failed.value.message
    assert "s3cr3t" not in f"{failed.value.message}{failed.value.hint}{failed.value.__cause__}"


def test_a_directory_is_not_a_password_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"could not read password file .*: Is a directory"):
        of_file(tmp_path)


def test_a_command_runs_once_per_process(tmp_path: Path) -> None:
    count = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')"
    command = script(f"{count}; print({SECRET!r})")
    assert {of_command(*command) for _ in range(3)} == {SECRET}
    assert (tmp_path / "runs").read_text() == "x"


def test_a_command_is_run_without_a_shell() -> None:
    assert of_command("echo", "$HOME; `id`") == "$HOME; `id`"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "print('s3cr3t'); raise SystemExit('no\\x1b[31m such\\nuser')",
            "failed with exit code 1",
            "no [31m such user",
        ),
        ("print('s3cr3t'); raise SystemExit(7)", "failed with exit code 7", ""),
        ("print()", "is empty", ""),
        ("import sys; sys.stdout.buffer.write(b's3cr3t\\xff')", "is not UTF-8", ""),
        ("import os; os.kill(os.getpid(), 9)", "failed with exit code -9", ""),
    ],
)
def test_a_command_without_output_is_reported_with_its_stderr(text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as failed:
        of_command(*script(text))
    assert hint in failed.value.hint
    assert "s3cr3t" not in f"{failed.value.message}{failed.value.hint}{failed.value.__cause__}"
    assert f'password command "{sys.executable}"' in failed.value.message


def test_a_missing_command_is_named() -> None:
    with pytest.raises(ConfigurationError, match='could not run password command "no-such-program": No such file'):
        of_command("no-such-program", "s3cr3t")


def test_a_command_that_hangs_is_terminated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "_TIMEOUT", 0.2)
    with pytest.raises(ConfigurationError, match=r"took longer than 0\.2 s"):
        of_command("sleep", "20")


def test_the_command_has_the_lowest_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ("no-such-program",)
    assert of_command(*broken, in_url=True) is None
    assert password_for(Settings(passwords=(("db_password", "p"),), password_command=broken), in_url=False) == "p"
    for name in ("PGPASSWORD", "PGPASSFILE"):
        monkeypatch.setenv(name, "x")
        assert of_command(*broken) is None
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGPASSWORD", "x")
    assert password_for(Settings(passwords=(("db_password", "p"),)), in_url=False) == "p"


def test_the_password_of_a_url_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("p")
    below = Settings(passwords=(("database_url", "u"), ("db_password_file", str(tmp_path / "p"))))
    assert password_for(below, in_url=True) is None
    assert password_for(below, in_url=False) == "p"
    assert of_file(tmp_path / "p", in_url=True) == "p"


def test_without_a_password_setting_libpq_searches_by_itself() -> None:
    assert password_for(Settings(), in_url=False) is None
