"""`--replay` does not run unchanged files on the server again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Options, lint
from sqlmigrate.lint.replay import observation, server
from sqlmigrate.lint.replay.observation import Effect, Observation, recall, remember
from sqlmigrate.model import Location, ServerReport
from tests.servers import ROOT

START = Location("a.sql", 2, 3, "  select 1;")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path(observation.CACHE.directory)


def test_recall_returns_the_observations_at_the_requested_path(memory: Path) -> None:
    remember("k", [Observation(START, (Effect("rewrites", "t"),)), Observation(START, alone=True)])
    there = Location("b.sql", 2, 3, "  select 1;")
    assert recall("k", "b.sql") == [Observation(there, (Effect("rewrites", "t"),)), Observation(there, alone=True)]
    assert recall("other", "b.sql") is None


def test_a_failed_statement_is_not_cached(memory: Path) -> None:
    remember(
        "k",
        [
            Observation(START),
            Observation(START, failed=ServerReport("canceling statement due to lock timeout", "55P03")),
        ],
    )
    assert recall("k", "a.sql") is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[{}]", "\0"])
def test_a_damaged_value_counts_as_missing(memory: Path, content: str) -> None:
    memory.mkdir(parents=True)
    (memory / f"{observation._key('k')}.json").write_text(content)
    assert not recall("k", "a.sql")


def test_the_cache_evicts_the_oldest_values(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "CACHE", observation.CACHE._replace(most=3))
    for number in range(6):
        remember(f"k{number}", [Observation(START)])
    assert len(list(memory.iterdir())) == 3
    assert recall("k5", "a.sql") == [Observation(START)]


def test_an_unwritable_cache_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember("k", [Observation(START)])
    assert recall("k", "a.sql") is None


def linted(path: Path) -> list[Finding]:
    return lint([str(path)], options=Options(replay=True))


def test_a_file_runs_on_the_server_again_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(ROOT / ".local"))
    earlier, path = tmp_path / "V1.0.0-001__t.up.sql", tmp_path / "V1.0.0-002__u.up.sql"
    earlier.write_text("create table t (a int);")
    path.write_text(f"-- {tmp_path}\nalter table t alter a type bigint;")
    first = linted(path)
    assert [(finding.rule, finding.decided_by.value) for finding in first] == [("type-change-rewrites", "server")]

    def asked() -> None:
        raise LookupError("the server is asked")

    monkeypatch.setattr(server, "Sandbox", asked)
    assert linted(path) == first
    earlier.write_text("create table t (a int, b int);")
    with pytest.raises(LookupError):
        linted(path)


def test_two_concurrent_processes_report_the_same_findings(tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__t.up.sql").write_text(f"-- {tmp_path}\ncreate table t (a int);")
    (tmp_path / "V1.0.0-002__u.up.sql").write_text("alter table t alter a type bigint;")
    program = (
        "import sys; from sqlmigrate.lint import Options, lint;"
        f"print([(finding.rule, finding.decided_by) for finding in lint([{str(tmp_path / 'V1.0.0-002__u.up.sql')!r}],"
        " options=Options(replay=True))])"
    )
    env = {"XDG_CACHE_HOME": str(ROOT / ".local"), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate() for process in both]
    assert [out for out, _ in said] == ["[('type-change-rewrites', <Decider.SERVER: 'server'>)]\n"] * 2, said
