"""Observes statements on a connection: pg_locks, pg_class, the counters of the transaction, and debug messages.

The server reports rewrites, scans and index builds at client_min_messages = debug1. Its messages contain names without
a schema: only relations that the transaction has locked can be meant. The queries return one JSON value each, so that
no setting of a script changes them, and they set nothing that a script could notice but client_min_messages.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.locks import Mode
from sqlmigrate.locks.effects import Doing, Effects, Effort, StandingRelation, TakenLock, TouchedRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlmigrate.server.connection import Connection

LISTEN = "set client_min_messages = debug1;"
_MODES = {f"{mode.value.title().replace(' ', '')}Lock": mode for mode in Mode}
_MESSAGES = (
    (Doing.REWRITES, re.compile(r'rewriting table "(?P<table>.+)"')),
    (Doing.SCANS, re.compile(r'verifying table "(?P<table>.+)"')),
    (Doing.BUILDS, re.compile(r'building index "(?P<name>.+)" on table "(?P<table>.+)" ')),
)
_FOREIGN_KEY = re.compile(r'validating foreign key constraint "(.+)"')
# These give a table a new file with its rows. Others only make it empty, such as TRUNCATE, also in a function.
_REWRITING = re.compile(r"ALTER |CLUSTER|REFRESH|VACUUM")
_STANDING = """
select pg_catalog.json_agg(pg_catalog.json_build_array(
    c.oid::bigint, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.relname, c.relkind,
    (select pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.relname)
     from pg_catalog.pg_index i join pg_catalog.pg_class t on t.oid = i.indrelid
     join pg_catalog.pg_namespace s on s.oid = t.relnamespace where i.indexrelid = c.oid),
    c.relfilenode::bigint))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid >= 16384 and c.relkind in ('r', 'p', 'm', 'f', 'v', 'S', 'i', 'I') and c.relpersistence <> 't'
  and n.nspname <> 'pg_toast'"""
_LOCKED = """
select pg_catalog.json_build_array((pg_catalog.pg_current_wal_insert_lsn() - '0/0')::bigint, (
select pg_catalog.json_agg(pg_catalog.json_build_array(
    l.relation::bigint, l.mode, c.relname, c.relkind, c.relfilenode::bigint, c.relispopulated,
    (select a.amname from pg_catalog.pg_am a where a.oid = c.relam),
    (select t.relname from pg_catalog.pg_index i join pg_catalog.pg_class t on t.oid = i.indrelid
     where i.indexrelid = c.oid),
    pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation), pg_catalog.pg_stat_get_xact_tuples_updated(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation), pg_catalog.pg_stat_get_xact_numscans(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_returned(l.relation)))
from pg_catalog.pg_locks l left join pg_catalog.pg_class c on c.oid = l.relation
where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.relation >= 16384 and l.granted
  and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())))"""
_COUNTERS = """
select pg_catalog.json_build_array((pg_catalog.pg_current_wal_insert_lsn() - '0/0')::bigint, (
select pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::bigint,
    pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid), pg_catalog.pg_stat_get_xact_tuples_updated(c.oid),
    pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid), pg_catalog.pg_stat_get_xact_numscans(c.oid),
    pg_catalog.pg_stat_get_xact_tuples_returned(c.oid)))
from pg_catalog.pg_class c where c.oid >= 16384 and c.relkind in ('r', 'm', 'f')))"""
_FILES = """
select pg_catalog.json_build_array((pg_catalog.pg_current_wal_insert_lsn() - '0/0')::bigint, (
select pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::bigint, c.relfilenode::bigint))
from pg_catalog.pg_class c where c.oid >= 16384 and c.relkind in ('r', 'm', 'i')))"""
_KEYS = """
select pg_catalog.json_agg(pg_catalog.json_build_array(k.conname, k.conrelid::bigint, k.confrelid::bigint))
from pg_catalog.pg_constraint k where k.contype = 'f' and k.conname = any({names})"""
_INDEXES = """
select pg_catalog.json_agg(pg_catalog.json_build_array(c.relname, t.relname, a.amname))
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_class t on t.oid = i.indrelid join pg_catalog.pg_am a on a.oid = c.relam
where c.relname = any({names})"""


class _Seen(NamedTuple):
    """A relation that the transaction has locked, as pg_locks, pg_class and the counters show it."""

    oid: int
    mode: str
    name: str | None
    kind: str
    node: int
    is_populated: bool
    method: str
    table: str
    inserted: int
    updated: int
    deleted: int
    scans: int
    read: int

    @property
    def counters(self) -> tuple[int, ...]:
        return self[8:]


_NOTHING = (0, 0, 0, 0, 0)


class Observer:
    """Observes the statements of one connection. `standing` are the relations that stand at its creation."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.standing: dict[int, StandingRelation] = {}
        self._nodes: dict[int, int] = {}
        self._messages: list[str] = []
        for oid, name, plain, kind, parent, node in self._read(_STANDING) or ():
            self.standing[oid] = StandingRelation(name, plain, kind, parent or "")
            self._nodes[oid] = node
        self._modes: dict[int, Mode] = {}
        self._counters: dict[int, tuple[int, ...]] = {}
        self._round_trip = min(self._timed(lambda: connection.run("select 1")) for _ in range(3))
        self._wal = 0
        self._is_open = False
        connection.on_notices = self._hear

    def end(self) -> None:
        """Notes that the transaction has ended. The next one is observed from its first statement on."""
        self._is_open = False

    def _begin(self) -> None:
        """Reads the counters, which go on from one transaction to the next, and which the server resets in between."""
        if self._is_open:
            return
        self._is_open, self._modes = True, {}
        self._wal, rows = self._read(_COUNTERS)
        self._counters = {oid: tuple(counters) for oid, *counters in rows or ()}

    def pass_over(self) -> None:
        """Notes the locks that sqlmigrate itself has taken, so that they do not count for the next statement."""
        self._begin()
        self._wal, seen = self._locked()
        for _ in self._locks(seen):
            pass

    def observe(self, send: Callable[[], bytes | None]) -> Effects:
        """Sends a statement of the transaction, and returns what it did; `send` returns the command tag.

        Raises:
            StatementFailed: The statement failed.
        """
        self._begin()
        tag, ms = self._sent(send)
        wal, seen = self._locked()
        written, self._wal = wal - self._wal, wal
        emptied, efforts = self._efforts(tag, seen)
        rows = tuple(self._rows(seen))
        known = {name for effort in efforts for name in (effort.subject.name, effort.other)}
        efforts += [*self._silent_scans(tag, rows, known | emptied)]
        return Effects(ms, tuple(self._locks(seen)), tuple(efforts), rows, *_parts(tag), written)

    def observe_alone(self, send: Callable[[], bytes | None]) -> Effects:
        """Does the same for a statement outside a transaction, without its locks and rows.

        Raises:
            StatementFailed: The statement failed.
        """
        before, _ = self._files()
        tag, ms = self._sent(send)
        wal, nodes = self._files()
        rewritten = [oid for oid, node in nodes.items() if self._is_rewritten(oid, node) and _REWRITING.match(tag)]
        self._nodes |= {oid: node for oid, node in nodes.items() if oid in self._nodes}
        subjects = {self.standing[oid].plain: self.standing[oid] for oid in self.standing if oid in nodes}
        methods = self._methods()
        efforts = [Effort(Doing.REWRITES, self.standing[oid]) for oid in rewritten]
        for doing, match in self._told():
            subject = subjects.get(match["table"])
            if subject and doing is Doing.BUILDS:
                efforts.append(Effort(doing, subject, match["name"], methods.get((match["name"], subject.plain), "")))
        return Effects(ms, (), tuple(efforts), (), *_parts(tag), wal - before, is_alone=True)

    def barred(self) -> set[str]:
        """Returns the names of the relations on which the transaction holds a lock that blocks writes."""
        return {self.standing[oid].name for oid, mode in self._modes.items() if mode.blocks_writes}

    def _sent(self, send: Callable[[], bytes | None]) -> tuple[str, float]:
        self._messages.clear()
        started = time.monotonic()
        tag = (send() or b"").decode()
        return tag, max((time.monotonic() - started - self._round_trip) * 1000, 0.0)

    @staticmethod
    def _timed(send: Callable[[], None]) -> float:
        started = time.monotonic()
        send()
        return time.monotonic() - started

    def _hear(self, notices: Sequence[tuple[str, str]]) -> None:
        self._messages += (message for severity, message in notices if severity == "DEBUG")

    def _read(self, query: str) -> Any:
        """Sends LISTEN and a query, and returns the JSON value of the query."""
        heard, self._messages = self._messages, []
        *_, result = self._connection.transmit(LISTEN + query)
        self._messages = heard
        return json.loads(result.value or b"null")

    def _locked(self) -> tuple[int, list[_Seen]]:
        wal, rows = self._read(_LOCKED)
        return wal, [_Seen(*row) for row in rows or ()]

    def _files(self) -> tuple[int, dict[int, int]]:
        wal, rows = self._read(_FILES)
        return wal, dict(rows or ())

    def _locks(self, seen: Iterable[_Seen]) -> Iterator[TakenLock]:
        """Yields the locks that are stronger than before, the strongest on each relation."""
        strongest: dict[int, Mode] = {}
        for row in seen:
            if row.oid in self.standing:
                mode = _MODES[row.mode]
                strongest[row.oid] = max(mode, strongest.get(row.oid, mode))
        for oid, mode in sorted(strongest.items(), key=lambda pair: (-pair[1].number, self.standing[pair[0]].name)):
            if oid not in self._modes or mode > self._modes[oid]:
                self._modes[oid] = mode
                yield TakenLock(self.standing[oid], mode)

    def _rows(self, seen: Iterable[_Seen]) -> Iterator[TouchedRows]:
        counters = {row.oid: row.counters for row in seen if row.kind in ("r", "m", "f")}
        for oid, now in counters.items():
            before = self._counters.get(oid, _NOTHING)
            if oid in self.standing and now != before:
                counts = (late - early for late, early in zip(now, before, strict=True))
                yield TouchedRows(self.standing[oid].name, *counts)
        self._counters |= counters

    def _told(self) -> Iterator[tuple[Doing, re.Match[str]]]:
        for message in dict.fromkeys(self._messages):
            for doing, pattern in _MESSAGES:
                if match := pattern.match(message):
                    yield doing, match

    def _is_rewritten(self, oid: int, node: int) -> bool:
        return oid in self._nodes and self._nodes[oid] != node and self.standing[oid].kind in ("r", "m")

    def _efforts(self, tag: str, seen: Sequence[_Seen]) -> tuple[set[str], list[Effort]]:
        """Returns the tables that were made empty, and the work on the others."""
        named: dict[str, list[StandingRelation]] = {}
        methods = {(row.name, row.table): row.method for row in seen if row.table}
        for row in {row.oid: row for row in seen if row.oid in self.standing}.values():
            subject = self.standing[row.oid]
            named.setdefault(row.name or subject.plain, []).append(subject)
        told = [*self._told()]
        rewriting = {match["table"] for doing, match in told if doing is Doing.REWRITES}
        renewed = {row.oid: row for row in seen if row.node and self._is_rewritten(row.oid, row.node)}.values()
        is_rewrite = {
            row.oid for row in renewed if row.is_populated and (row.name in rewriting or _REWRITING.match(tag))
        }
        efforts = [Effort(Doing.REWRITES, self.standing[row.oid]) for row in renewed if row.oid in is_rewrite]
        emptied = {self.standing[row.oid].name for row in renewed if row.oid not in is_rewrite}
        self._nodes |= {row.oid: row.node for row in seen if row.node and row.oid in self._nodes}
        for doing, match in told:
            for subject in named.get(match["table"], ()):
                if (
                    doing is not Doing.REWRITES
                    and subject.kind != "p"
                    and subject.name not in emptied
                    and not tag.startswith("TRUNCATE")
                ):
                    name = match.groupdict().get("name", "")
                    efforts.append(Effort(doing, subject, name, methods.get((name, match["table"]), "")))
        return emptied, [*efforts, *self._keys({row.oid for row in seen})]

    def _keys(self, locked: set[int]) -> Iterator[Effort]:
        names = [match[1] for message in self._messages if (match := _FOREIGN_KEY.match(message))]
        for name, table, referenced in (self._named(_KEYS, names) or ()) if names else ():
            if table in locked and table in self.standing and self.standing[table].kind != "p":
                other = self.standing[referenced].name if referenced in self.standing else ""
                yield Effort(Doing.CHECKS, self.standing[table], name, other=other)

    def _methods(self) -> dict[tuple[str, str], str]:
        names = [match["name"] for doing, match in self._told() if doing is Doing.BUILDS]
        rows = (self._named(_INDEXES, names) or ()) if names else ()
        return {(name, table): method for name, table, method in rows}

    def _named(self, query: str, names: Sequence[str]) -> Any:
        array = f"array[{', '.join(map(self._connection.literal, names))}]"
        return self._read(query.format(names=array))

    def _silent_scans(self, tag: str, rows: Iterable[TouchedRows], known: set[str]) -> Iterator[Effort]:
        """Yields the scans without a message: a new partition makes the server scan the default partition."""
        subjects = {subject.name: subject for subject in self.standing.values()}
        if tag in ("ALTER TABLE", "CREATE TABLE"):
            for row in rows:
                if row.scans and row.relation not in known:
                    yield Effort(Doing.SCANS, subjects[row.relation])


def _parts(tag: str) -> tuple[str, int | None]:
    """Returns the command of a tag, and the number of rows in it: `INSERT 0 5` has 5."""
    words = tag.split()
    numbers = [word for word in words if word.isdigit()]
    return " ".join(word for word in words if not word.isdigit()), int(numbers[-1]) if numbers else None
