"""Other people, who work on the tables of the migrations, with names like theirs, while these run and die."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg

from tests.project import Project

# What the statements of the migrations create: the same definitions, under names like theirs.
_BUILDS = (
    ("index", "a6_grp", "(grp)"),
    ("unique index", "a6_once", "(id, grp)"),
    ("index", "items_note_idx", "(note)"),
    ("index", "a6_both", "(grp, note)"),
)
_SUFFIXES = ("", "_dba", "_old", "_ccnew", "_ccold", "_idx")
_STATE = """
select c.oid, c.relkind, i.indisvalid, pg_get_indexdef(i.indexrelid)
from pg_class c left join pg_index i on i.indexrelid = c.oid where c.relname = %s
"""
State = tuple[object, ...]


@dataclass
class Person:
    """Builds, breaks, renames and drops indexes and tables; what must be there is in `objects`, by name."""

    project: Project
    number: int
    seed: int
    stopped: threading.Event
    objects: dict[str, State] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    actions: int = 0

    def __post_init__(self) -> None:
        self.name = f"person {self.number}"
        self._random = random.Random(self.seed)
        self._names = self.number * 1000

    def run(self) -> None:
        with psycopg.connect(self.project.database, autocommit=True, application_name=self.name) as connection:
            while not self.stopped.is_set():
                self.verify(connection)
                self._act(connection)
                self.actions += 1
                self.stopped.wait(self._random.uniform(0.05, 0.3))  # leaves the tables to others, too

    def verify(self, connection: psycopg.Connection) -> None:
        """Notes what is no longer as this person left it."""
        for name, state in self.objects.items():
            if (now := _state(connection, name)) != state:
                self.faults.append(f"{self.name}: {name} was {state}, is {now}")

    def leave(self, connection: psycopg.Connection) -> None:
        for name, (_, kind, *_) in self.objects.items():
            connection.execute(f"drop {'table' if kind == 'r' else 'index'} {name}".encode())

    def _act(self, connection: psycopg.Connection) -> None:
        actions = [self._build, self._build, self._break, self._create]
        actions += [self._rename, self._drop] if self.objects else []
        for name in self._random.choice(actions)(connection):
            if (state := _state(connection, name)) is None:
                self.objects.pop(name, None)
            else:
                self.objects[name] = state

    def _name(self, base: str) -> str:
        self._names += 1
        return f"{base}{self._random.choice(_SUFFIXES)}{self._names}"

    def _build(self, connection: psycopg.Connection, timeout: int = 10_000) -> list[str]:
        kind, base, columns = self._random.choice(_BUILDS)
        name = self._name(base)
        concurrently = self._random.choice(("", "concurrently", "concurrently if not exists"))
        _try(connection, f"create {kind} {concurrently} {name} on items {columns}", timeout)
        return [name]

    def _break(self, connection: psycopg.Connection) -> list[str]:
        """Builds an index that is left invalid, if it is there at all."""
        return self._build(connection, self._random.randrange(1, 12))

    def _create(self, connection: psycopg.Connection) -> list[str]:
        name = self._name(self._random.choice(("a2", "items", "a13_1", "a6_grp")))
        _try(connection, f"create table {name} (like items)")
        return [name]

    def _rename(self, connection: psycopg.Connection) -> list[str]:
        old = self._random.choice(sorted(self.objects))
        new = self._name(self._random.choice(_BUILDS)[1])
        kind = "table" if self.objects[old][1] == "r" else "index"
        _try(connection, f"alter {kind} {old} rename to {new}")
        return [old, new]

    def _drop(self, connection: psycopg.Connection) -> list[str]:
        name = self._random.choice(sorted(self.objects))
        is_table = self.objects[name][1] == "r"
        kind = "table" if is_table else self._random.choice(("index", "index concurrently"))
        _try(connection, f"drop {kind} {name}")
        return [name]


@dataclass
class Crowd:
    project: Project
    people: list[Person]

    def leave(self) -> int:
        """Checks that all of theirs is as they left it, and removes it; how many actions there were."""
        with psycopg.connect(self.project.database, autocommit=True) as connection:
            for person in self.people:
                person.verify(connection)
                assert person.faults == []
                person.leave(connection)
        return sum(person.actions for person in self.people)


@contextlib.contextmanager
def crowd(project: Project, seed: int, count: int = 2) -> Iterator[Crowd]:
    """People at work until the end of the block."""
    stopped = threading.Event()
    people = [Person(project, number, seed * 10 + number, stopped) for number in range(1, count + 1)]
    with ThreadPoolExecutor(count) as pool:
        working = [pool.submit(person.run) for person in people]
        try:
            yield Crowd(project, people)
        finally:
            stopped.set()
            for future in working:
                future.result(60)


def _state(connection: psycopg.Connection, name: str) -> State | None:
    return connection.execute(_STATE, [name]).fetchone()


def _try(connection: psycopg.Connection, statement: str, timeout: int = 10_000) -> None:
    """Runs a statement that may fail: the table is not there yet, or another session is in the way."""
    connection.execute(f"set statement_timeout = {timeout}".encode())
    with contextlib.suppress(psycopg.errors.Error):
        connection.execute(statement.encode())
    is_reset = False
    while not is_reset:  # the short timeout may end this statement, too
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            connection.execute(b"set statement_timeout = 10000")
            is_reset = True
