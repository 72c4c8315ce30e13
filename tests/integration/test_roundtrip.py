"""`validate --roundtrip`: faulty down files are found, the SQL that is proposed makes them right, right ones pass."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from sqlmigrate.config.settings import Settings
from sqlmigrate.files import source
from sqlmigrate.scratch.judge import RoundTripFinding, RoundTripLevel
from sqlmigrate.scratch.roundtrip import RoundTrip, round_trip
from sqlmigrate.testing import assert_roundtrip
from tests.project import Project
from tests.servers import ROOT

pytestmark = [pytest.mark.usefixtures("scratch_cache"), pytest.mark.anywhere]

CASES = Path(__file__).parent / "roundtrip"


class Case(NamedTuple):
    """Up and down files, what must be found, and whether the SQL that is proposed makes the down file right."""

    label: str
    fields: Mapping[str, str]
    is_mended: bool = False


def cases(name: str) -> Iterator[Case]:
    for number, block in enumerate((CASES / name).read_text().split("\n\n")[1:], 1):
        fields = dict(line.split(": ", 1) for line in block.strip().splitlines())
        label, _, mark = fields.pop("case", str(number)).partition(" | ")
        yield Case(label, fields, mark == "mended")


def write(directory: Path, chosen: Sequence[Case], more: Mapping[int, Sequence[str]] | None = None) -> None:
    """Writes each case as two migrations in a schema of its own; `more` is SQL for the end of the down files."""
    for number, case in enumerate(chosen, 1):
        schema = f"case_{number}"
        first = f"create schema {schema}; set search_path = {schema}, public; {case.fields.get('before', '')};"
        put(directory, number, 1, first.replace("{s}", schema), None)
        path = f"set search_path = {schema}, public;\n"
        up, down = (f"{path}{case.fields[name]};\n".replace("{s}", schema) for name in ("up", "down"))
        added = "".join(f"{statement};\n" for statement in (more or {}).get(number, ()))
        put(directory, number, 2, up.replace("create index concurrently", "create index"), down + added)


def put(directory: Path, case: int, number: int, up: str, down: str | None) -> None:
    name = f"V1.{case}.0-{number:03d}__case"
    (directory / f"{name}.up.sql").write_text(up)
    if down is not None:
        (directory / f"{name}.down.sql").write_text(down)


def checked(directory: Path) -> RoundTrip:
    settings = Settings(dir=(str(directory),))
    return round_trip(settings, source.find(settings.dir), 18)


def by_case(result: RoundTrip) -> Mapping[int, list[RoundTripFinding]]:
    found = defaultdict(list)
    for finding in result.findings:
        found[int(finding.migration.split(".")[1])].append(finding)
    return found


FAULTY = list(cases("faulty.txt"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, scratch_home: Path) -> Mapping[int, list[RoundTripFinding]]:
    """The findings of the faulty files, by case."""
    directory = tmp_path_factory.mktemp("faulty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(scratch_home))
        write(directory, FAULTY)
        return by_case(checked(directory))


@pytest.mark.parametrize("number", range(1, len(FAULTY) + 1), ids=[case.label for case in FAULTY])
def test_a_faulty_down_file_is_found(faulty: Mapping[int, list[RoundTripFinding]], number: int) -> None:
    expected = FAULTY[number - 1].fields["finds"].replace("{s}", f"case_{number}")
    assert [finding for finding in faulty.get(number, ()) if expected in finding.message], faulty.get(number)


def test_the_proposed_sql_makes_the_down_files_right(
    faulty: Mapping[int, list[RoundTripFinding]], tmp_path: Path
) -> None:
    chosen = {number for number, case in enumerate(FAULTY, 1) if case.is_mended}
    proposed = {number: [sql for finding in faulty[number] for sql in finding.mend] for number in chosen}
    assert [number for number in chosen if not proposed[number]] == []
    write(tmp_path, FAULTY, proposed)
    wrong = [finding for number, found in by_case(checked(tmp_path)).items() if number in chosen for finding in found]
    assert [finding for finding in wrong if finding.level is RoundTripLevel.FAULT] == []


def test_nothing_is_said_of_right_down_files(tmp_path: Path) -> None:
    right = list(cases("right.txt"))
    assert len(right) > 60
    write(tmp_path, right)
    result = checked(tmp_path)
    assert result.findings == ()
    assert len(result.checked) == len(result.without_down) == len(right)


def test_nothing_is_said_of_alertagents_migrations() -> None:
    result = checked(ROOT / "migrations")
    assert len(result.checked) == 19
    assert result.findings == ()


def test_the_command_shows_what_the_documentation_shows(project: Project) -> None:
    project.add(1, "create table notes (at timestamptz, note text);", "drop table notes;", name="create")
    project.add(2, "create index notes_at on notes (at);", "select 1;", name="notes")
    (block,) = [block for block in page_blocks("rollback.md") if "--roundtrip" in block]
    command, _, expected = block.partition("\n")
    result = project.cli(*command.removeprefix("$ sqlmigrate ").split(), SQLMIGRATE_DIR="migrations")
    assert (result.stdout, result.returncode) == (expected, 1)
    findings = json.loads(project.cli("validate", "--roundtrip", "--format", "json").stdout)["findings"]
    assert [(found["version"], found["mend"]) for found in findings] == [("v1.0.0-002", ["drop index public.notes_at"])]


def test_the_assertion_fails_with_the_findings(project: Project) -> None:
    project.add(1, "create table notes (at int);", "drop table notes;")
    assert_roundtrip(str(project.directory))
    project.add(2, "create index notes_at on notes (at);", "select 1;")
    with pytest.raises(pytest.fail.Exception, match="leaves index"):
        assert_roundtrip(str(project.directory))


def page_blocks(name: str) -> list[str]:
    return [text.split("```")[0] for text in (ROOT / "docs" / name).read_text().split("```console\n")[1:]]
