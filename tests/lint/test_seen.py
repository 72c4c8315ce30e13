"""What `--replay` saw once it does not ask the server for again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Options, lint
from sqlmigrate.lint.replay import seen, server
from sqlmigrate.lint.replay.seen import Did, Seen, recall, remember
from sqlmigrate.model import Location, ServerReport
from tests.servers import ROOT

START = Location("a.sql", 2, 3, "  select 1;")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path(seen._memory())


def test_it_is_as_it_was_at_the_path_that_is_asked_for(memory: Path) -> None:
    remember("k", [Seen(START, (Did("rewrites", "t"),)), Seen(START, alone=True)])
    there = Location("b.sql", 2, 3, "  select 1;")
    assert recall("k", "b.sql") == [Seen(there, (Did("rewrites", "t"),)), Seen(there, alone=True)]
    assert recall("other", "b.sql") is None


def test_what_failed_may_not_fail_another_time(memory: Path) -> None:
    remember("k", [Seen(START), Seen(START, failed=ServerReport("canceling statement due to lock timeout", "55P03"))])
    assert recall("k", "a.sql") is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[{}]", "\0"])
def test_what_can_not_be_read_is_as_if_it_were_not_there(memory: Path, content: str) -> None:
    memory.mkdir(parents=True)
    (memory / "k.json").write_text(content)
    assert not recall("k", "a.sql")


def test_the_oldest_go(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_KEPT", 3)
    for number in range(6):
        remember(f"k{number}", [Seen(START)])
    assert len(list(memory.iterdir())) == 3
    assert recall("k5", "a.sql") == [Seen(START)]


def test_a_place_that_is_not_ours_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember("k", [Seen(START)])
    assert recall("k", "a.sql") is None


def linted(path: Path) -> list[Finding]:
    return lint([str(path)], options=Options(replay=True))


def test_the_server_is_asked_once_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(ROOT / ".local"))
    earlier, path = tmp_path / "V1.0.0-001__t.up.sql", tmp_path / "V1.0.0-002__u.up.sql"
    earlier.write_text("create table t (a int);")
    path.write_text(f"-- {tmp_path}\nalter table t alter a type bigint;")
    first = linted(path)
    assert [(one.rule, one.decided_by.value) for one in first] == [("type-change-rewrites", "server")]

    def asked() -> None:
        raise LookupError("the server is asked")

    monkeypatch.setattr(server, "Sandbox", asked)
    assert linted(path) == first
    earlier.write_text("create table t (a int, b int);")
    with pytest.raises(LookupError):
        linted(path)


def test_two_at_once_find_the_same(tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__t.up.sql").write_text(f"-- {tmp_path}\ncreate table t (a int);")
    (tmp_path / "V1.0.0-002__u.up.sql").write_text("alter table t alter a type bigint;")
    program = (
        "import sys; from sqlmigrate.lint import Options, lint;"
        f"print([(one.rule, one.decided_by) for one in lint([{str(tmp_path / 'V1.0.0-002__u.up.sql')!r}],"
        " options=Options(replay=True))])"
    )
    env = {"XDG_CACHE_HOME": str(ROOT / ".local"), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True
        )
        for _ in range(2)
    ]
    said = [one.communicate() for one in both]
    assert [out for out, _ in said] == ["[('type-change-rewrites', <Decider.SERVER: 'server'>)]\n"] * 2, said
