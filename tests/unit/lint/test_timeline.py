from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.lint import Options, lint, timeline
from sqlmigrate.lint.timeline import shares, timelines
from tests.servers import ROOT


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Dependent migrations with down files, a file without a version, and a second directory."""
    monkeypatch.setattr(timeline, "_WORTH_IT", 4)
    for number in range(1, 31):
        name = f"V1.0.0-{number:03d}__t{number}"
        before = f"alter table t{number - 1} alter a type varchar({number}); drop table if exists gone;\n"
        made = f"create table t{number} (a varchar(10) not null);\ncreate index i{number} on t{number // 2} (a);\n"
        (tmp_path / f"{name}.up.sql").write_text(made + before)
        if number % 3:
            (tmp_path / f"{name}.down.sql").write_text(f"drop table t{number};\n")
    (tmp_path / "notes.sql").write_text("create index k on t1 (a);")
    other = tmp_path / "other"
    other.mkdir()
    for number in range(1, 6):
        (other / f"V1.0.0-{number:03d}__u.up.sql").write_text("create table u (a int); drop table u;\nselec 1;")
    return [str(path) for path in sorted(tmp_path.rglob("*.sql"))]


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_several_processes_return_the_same_findings_as_one(many: list[str], processes: int) -> None:
    alone = lint(many)
    assert len(alone) > 60
    assert lint(many, options=Options(processes=processes)) == alone


def test_an_error_in_a_worker_process_is_raised(many: list[str]) -> None:
    with pytest.raises(ValueError, match="no such level"):
        lint(many, options=Options(processes=4, levels=_Unreadable()))


class _Unreadable(dict[str, None]):
    def get(self, *_: object) -> None:
        raise ValueError("no such level")


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_each_file_is_linted_in_one_share_after_its_earlier_files(many: list[str], workers: int) -> None:
    runs = list(timelines(many))
    divided = shares(runs, workers)
    assert len(divided) == workers
    linted = [moment.path for share in divided for run in share for moment in run if moment.linted]
    assert sorted(linted) == many
    for run in runs:
        ups = [moment.path for moment in run if not moment.down]
        for part in (part for share in divided for part in share if part[-1].path in {moment.path for moment in run}):
            read = [moment.path for moment in part if not moment.down]
            assert read == ups[: len(read)]
            assert part[-1].linted
            assert all(moment.linted for moment in part if moment.down)


def test_few_files_are_linted_by_one_process() -> None:
    runs = list(timelines([str(path) for path in sorted((ROOT / "migrations").glob("*.sql"))]))
    assert shares(runs, 8) == [runs]
