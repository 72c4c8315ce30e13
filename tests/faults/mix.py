"""A project with every sort of migration, and what must hold of it at every instant, whatever dies."""

from __future__ import annotations

import logging
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate.model import Version
from tests.faults.waiting import OURS, until
from tests.project import Project
from tests.servers import execute

Strike = Callable[[Project, "subprocess.Popen[str]"], None]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mixed:
    """A migration; `makes` and `removes` name what each statement brings or takes away, empty where nothing is seen."""

    number: int
    up: str
    makes: Sequence[str]
    down: str = ""
    removes: Sequence[str] = ()

    @property
    def version(self) -> str:
        return f"v1.0.0-{self.number:03d}"


def _ordinary(number: int, *more: str) -> Mixed:
    name, entry = f"a{number}", f"e{number}"
    up = f"create table {name} (id int);\ninsert into ledger values ('{entry}');\n"
    down = f"drop table {name};\ndelete from ledger where entry = '{entry}';\n"
    unseen = ["" for _ in more]
    return Mixed(number, up + "\n".join(more), [name, entry, *unseen], down + "\n".join(more), [name, entry, *unseen])


def _brief(number: int) -> Mixed:
    """A migration whose rollback can share a transaction with others."""
    name = f"a{number}"
    return Mixed(number, f"create table {name} (id int);\n", [name], f"drop table {name};\n", [name])


MIX = (
    Mixed(
        1,
        "create table ledger (entry text);\ncreate table items (id int primary key, grp int, note text);\n"
        "insert into items select n, n % 7, 'note ' || n from generate_series(1, 5000) n;\n"
        "create type mood as enum ('sad');\n",
        ["ledger", "items", "", "mood.sad"],
    ),
    _ordinary(2),
    _ordinary(3),
    _ordinary(4, "select pg_sleep(0.3);"),
    _ordinary(5),
    Mixed(
        6,
        "create index concurrently a6_grp on items (grp);\n"
        "create unique index concurrently a6_once on items (id, grp);\n"
        "create index concurrently on items (note);\n"
        "create index concurrently if not exists a6_both on items (grp, note);\n",
        ["a6_grp", "a6_once", "items_note_idx", "a6_both"],
        "drop index concurrently a6_both;\ndrop index concurrently if exists items_note_idx;\n"
        "drop index concurrently a6_once;\ndrop index concurrently a6_grp;\n",
        ["a6_both", "items_note_idx", "a6_once", "a6_grp"],
    ),
    Mixed(
        7,
        "begin;\ncreate table a7 (id int);\ninsert into ledger values ('e7a');\ncommit;\n"
        "insert into ledger values ('e7b');\n"
        "begin;\ncreate table a7b (id int);\ncopy ledger from stdin;\ne7c\n\\.\ncommit;\n",
        ["a7", "e7a", "e7b", "a7b", "e7c"],
        "begin;\ndrop table a7b;\ndelete from ledger where entry = 'e7c';\ncommit;\n"
        "delete from ledger where entry = 'e7b';\n"
        "begin;\ndelete from ledger where entry = 'e7a';\ndrop table a7;\ncommit;\n",
        ["a7b", "e7c", "e7b", "e7a", "a7"],
    ),
    Mixed(
        8,
        "create table a8 (id int, note text);\ncopy a8 from stdin;\n"
        + "".join(f"{n}\tline {n}\n" for n in range(2000))
        + "\\.\n",
        ["a8", ""],
        "drop table a8;\n",
        ["a8"],
    ),
    Mixed(
        9,
        "alter type mood add value 'glad';\ncreate table a9 (is_now mood default 'glad');\n",
        ["mood.glad", "a9"],
        "drop table a9;\nalter type mood rename to old_mood;\ncreate type mood as enum ('sad');\ndrop type old_mood;\n",
        ["a9", "mood.glad", "", ""],
    ),
    Mixed(
        10,
        "insert into ledger values ('e10');\nvacuum items;\ncreate table a10 (id int);\n",
        ["e10", "", "a10"],
        "drop table a10;\nvacuum items;\ndelete from ledger where entry = 'e10';\n",
        ["a10", "", "e10"],
    ),
    _ordinary(11, "select pg_sleep(0.1);"),
    _ordinary(12),
    Mixed(
        13,
        "create table a13 (id int) partition by range (id);\n"
        "create table a13_1 partition of a13 for values from (0) to (10);\n"
        "alter table a13 detach partition a13_1 concurrently;\nreindex index concurrently a6_once;\n",
        ["a13", "a13_1", "", ""],
        "reindex table concurrently a13_1;\ndrop table a13_1;\ndrop table a13;\n",
        ["", "a13_1", "a13"],
    ),
    *(_brief(number) for number in range(14, 21)),
)
MIGRATE = ("migrate",)
ROLLBACK = ("rollback", "--version", MIX[0].version, "--yes")

_OBJECTS = """
select c.relname || case when i.indisvalid is false then ' invalid' else '' end
from pg_class c left join pg_index i on i.indexrelid = c.oid where c.relnamespace = 'public'::regnamespace
union all select t.typname || '.' || e.enumlabel from pg_enum e join pg_type t on t.oid = e.enumtypid
"""
_HISTORY = "select version, success, action, statements_done, statements_begun from migrations"


def write(project: Project) -> None:
    for script in MIX:
        project.add(script.number, script.up, script.down or None)


def reset(project: Project, template: str = "template1") -> None:
    """The project's database as new, or as another one is."""
    name = conninfo_to_dict(project.database)["dbname"]
    drop = f"drop database if exists {name} with (force)"
    execute(project.server.conninfo, drop, f"create database {name} template {template}")


def snapshot(project: Project) -> tuple[dict[str, tuple[bool, str, int, int]], set[str]]:
    """The history's rows and the names of all that is there, as of one moment."""
    with psycopg.connect(project.database) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        there = [row[0] for row in connection.execute(_OBJECTS)]
        assert len(there) == len(set(there))
        rows = connection.execute(_HISTORY).fetchall() if "migrations" in there else []
        entries = [row[0] for row in connection.execute("select entry from ledger")] if "ledger" in there else []
        assert len(entries) == len(set(entries)), entries
    return {row[0]: row[1:] for row in rows}, {*there, *entries}


def disagreements(project: Project) -> list[str]:
    """Where a row says something else than the objects of its version do."""
    rows, there = snapshot(project)
    return [
        f"{script.version} {rows.get(script.version)}: {fault}"
        for script in MIX
        for fault in _wrong(script, rows, there)
    ]


def _wrong(script: Mixed, rows: dict[str, tuple[bool, str, int, int]], there: set[str]) -> Iterable[str]:
    success, action, done, begun = rows.get(script.version, (False, "apply", 0, 0))
    if success:
        action, done, begun = "apply", len(script.makes), len(script.makes)
    names = script.removes if action == "rollback" else script.makes
    for number, name in enumerate(names):
        is_done = (name in there) == (action == "apply")
        if name and number < done and not is_done:
            yield f"statement {number + 1} is recorded, but {name} says it is not done"
        if name and number >= begun and is_done:
            yield f"statement {number + 1} is not recorded, but {name} says it is done"


def wait_until_alone(project: Project) -> None:
    """Waits until the server has noticed that its clients are gone."""
    until(lambda: not project.value(f"select count(*) from pg_stat_activity where {OURS}"))


@dataclass
class Ordeal:
    """A command that is struck at seeded random moments, with what must hold after each.

    `expected` are exit codes of a run that was struck, `template` the database that it starts from.
    """

    project: Project
    command: Sequence[str]
    strike: Strike
    expected: Sequence[int]
    recover: Callable[[], None] = lambda: None
    template: str = "template1"

    def endure(self, count: int, seed: int) -> None:
        """Strikes so many times, and on until a quarter of so many have hit.

        A machine may be quicker or slower than it just was: a strike can come too late, and some also too early. If
        most do, the strikes spread over the whole run.
        """
        takes, schema = self.undisturbed()
        rng = random.Random(seed)
        outcomes = Counter[int]()
        while outcomes.total() < count or outcomes.total() - outcomes[0] < max(count // 4, 1):
            assert outcomes.total() < 20 * count, "the strikes hit nothing"
            earliest = 0.25 if 2 * outcomes[0] <= outcomes.total() else 0.02
            outcomes[self._struck(rng.uniform(earliest * takes, takes), schema)] += 1
        _LOG.info("%s: %s in %.2f s, exit codes %s", self.command[0], outcomes.total(), takes, dict(outcomes))

    def undisturbed(self) -> tuple[float, str]:
        """How long the quickest of three undisturbed runs takes, and the schema that they leave."""
        took = [self._timed() for _ in range(3)]
        assert disagreements(self.project) == []
        return min(took), self.project.schema()

    def _timed(self) -> float:
        reset(self.project, self.template)
        began = time.monotonic()
        run = self.project.run(self.project.command(*self.command))
        assert run.returncode == 0, run.stderr
        return time.monotonic() - began

    def _struck(self, moment: float, schema: str) -> int:
        reset(self.project, self.template)
        code, stderr = struck(self.project, self.command, moment, self.strike)
        self.recover()
        about = f"struck after {moment:.4f} s, exit code {code}:\n{stderr}"
        assert code in (*self.expected, 0), about
        assert code in (0, -9) or "error: " in stderr or code in (-2, -15), about
        assert "Traceback" not in stderr, about
        assert disagreements(self.project) == [], about
        wait_until_alone(self.project)
        assert disagreements(self.project) == [], about
        self.rerun(schema, about)
        return code

    def rerun(self, schema: str, about: str) -> None:
        rerun(self.project, self.command)
        assert disagreements(self.project) == [], about
        assert self.project.schema() == schema, about
        assert not [name for name in snapshot(self.project)[1] if name.endswith(" invalid")], about
        self._logged_once(about)

    def _logged_once(self, about: str) -> None:
        action = "apply" if self.command[0] == "migrate" else "rollback"
        log = "select version, count(*) from migrations_log where outcome = 'success' and action = %s group by 1"
        counts = self.project.query(log.replace("%s", f"'{action}'"))
        assert all(count == 1 for _, count in counts), about
        assert len(counts) == len(MIX) - (action == "rollback"), about


def struck(project: Project, command: Sequence[str], moment: float, strike: Strike) -> tuple[int, str]:
    process = project.start(*command)
    time.sleep(moment)
    strike(project, process)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr


def rerun(project: Project, command: Sequence[str]) -> None:
    if command[0] == "migrate":
        project.migrator().migrate()
    else:
        project.migrator().rollback(to=Version(1, 0, 0, 1))


def kill(_: Project, process: subprocess.Popen[str]) -> None:
    process.kill()
