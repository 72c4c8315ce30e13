"""Private copies of sequences: PostgreSQL does not roll back nextval and setval.

A change of a sequence's definition gives it a new file with the same position, and a rollback discards that file. Until
then, other sessions that need the sequence wait, so only the sequences that a statement may use get a private copy:
those that its text names, directly or through tables, triggers, views and functions.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.server.connection import Connection

_WORD = re.compile(r"[^\W\d][\w$]*")
# These statements run no trigger, no rule and no default of an existing table, but may run functions.
_DEFINITION = re.compile(
    r"(?:alter|drop|grant|revoke|comment|lock|cluster|reindex|analyze|truncate|set|show|notify|security"
    r"|create\s+(?!.*\bas\b))\b",
    re.IGNORECASE | re.DOTALL,
)
_KEEPS_OBJECTS = re.compile(r"(?:insert|update|delete|merge|copy|select|values|table)\b", re.IGNORECASE)
_ADVANCING = ("nextval", "setval")
_TABLE, _CODE, _SEQUENCE, _EVENT = "table", "code", "sequence", "event"
_USER = "oid >= 16384"
# For each object, its kind, its name, and the text in which it names others.
_OBJECTS = f"""
select pg_catalog.json_agg(pg_catalog.json_build_array(o.kind, o.name, o.body)) from (
    select '{_SEQUENCE}' as kind, c.relname::text as name, '' as body
    from pg_catalog.pg_class c where c.relkind = 'S' and c.{_USER}
    union all
    select '{_TABLE}', c.relname, pg_catalog.concat_ws(' ',
        (select pg_catalog.string_agg(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ' ')
         from pg_catalog.pg_attrdef d where d.adrelid = c.oid),
        (select pg_catalog.string_agg(s.relname, ' ') from pg_catalog.pg_depend d
         join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
         where d.refobjid = c.oid and d.classid = 'pg_catalog.pg_class'::regclass),
        (select pg_catalog.string_agg(p.proname, ' ') from pg_catalog.pg_trigger t
         join pg_catalog.pg_proc p on p.oid = t.tgfoid where t.tgrelid = c.oid and not t.tgisinternal),
        (select pg_catalog.string_agg(pg_catalog.pg_get_ruledef(r.oid), ' ') from pg_catalog.pg_rewrite r
         where r.ev_class = c.oid),
        (select pg_catalog.string_agg(x.relname, ' ') from pg_catalog.pg_inherits i
         join pg_catalog.pg_class x on x.oid = i.inhrelid where i.inhparent = c.oid),
        (select pg_catalog.string_agg(x.relname, ' ') from pg_catalog.pg_constraint k
         join pg_catalog.pg_class x on x.oid = k.conrelid where k.contype = 'f' and k.confrelid = c.oid))
    from pg_catalog.pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.{_USER}
    union all
    select '{_CODE}', p.proname, pg_catalog.concat_ws(' ', p.prosrc, pg_catalog.pg_get_function_sqlbody(p.oid))
    from pg_catalog.pg_proc p where p.{_USER}
    union all
    select '{_EVENT}', e.evtname, p.proname from pg_catalog.pg_event_trigger e
    join pg_catalog.pg_proc p on p.oid = e.evtfoid where e.evtenabled <> 'D') o"""
# ALTER SEQUENCE runs the event triggers, before there are copies of the sequences that these use. Only a superuser may
# switch them off; one that is enabled always keeps its name, which is then an unknown value of the setting.
_WITHOUT_EVENT_TRIGGERS = """
select pg_catalog.set_config(
           'sqlmigrate.replication_role', pg_catalog.current_setting('session_replication_role'), true),
       pg_catalog.set_config(
           'session_replication_role', coalesce((select pg_catalog.min(evtname) from pg_catalog.pg_event_trigger
                                                 where evtenabled in ('A', 'R')), 'replica'), true)
"""
_WITH_EVENT_TRIGGERS = """
select pg_catalog.set_config(
    'session_replication_role', pg_catalog.current_setting('sqlmigrate.replication_role'), true)
"""
_COPIES = """
select pg_catalog.json_agg(pg_catalog.format('alter sequence %s cache %s', c.oid::regclass, s.seqcache))
from pg_catalog.pg_class c join pg_catalog.pg_sequence s on s.seqrelid = c.oid
where c.oid >= 16384 and c.relpersistence <> 't' and c.relname = any({names})"""


class NamedObject(NamedTuple):
    """A sequence, a table or a function, and the text in which it names others. In an event trigger, its function."""

    kind: str
    name: str
    body: str


class SequenceGuard:
    """Gives the sequences that the statements of a transaction may use private copies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._objects: list[NamedObject] | None = None
        self._copied: set[str] = set()

    def protect(self, statement: str) -> bool:
        """Copies the sequences that a statement may use; returns whether there were any that have no copy yet.

        Raises:
            StatementFailed: A sequence belongs to another role, or is in use for longer than the lock timeout.
        """
        objects = self._objects or [NamedObject(*row) for row in self._read(_OBJECTS)]
        names = reachable(statement, objects) - self._copied
        self._objects = objects
        if not _KEEPS_OBJECTS.match(statement):
            self._objects = None
        if not names:
            return False
        literals = ", ".join(map(self._connection.literal, sorted(names)))
        copies = self._read(_COPIES.format(names=f"array[{literals}]"))
        if any(named.kind == _EVENT for named in objects):
            copies = [_WITHOUT_EVENT_TRIGGERS, *copies, _WITH_EVENT_TRIGGERS]
        self._connection.run(";".join(copies))
        self._copied |= names
        return True

    def forget(self) -> None:
        """Notes that a rollback to a savepoint has discarded the copies that were made after it."""
        self._copied, self._objects = set(), None

    def _read(self, query: str) -> list[Any]:
        (result,) = self._connection.transmit(query)
        rows: list[Any] = json.loads(result.value or b"null") or []
        return rows


def reachable(statement: str, objects: Iterable[NamedObject]) -> set[str]:
    """Returns the names of the sequences that a statement may use. Names are compared without their schemas.

    SQL that code puts together from parts of names is not seen.
    """
    by_word: dict[str, list[NamedObject]] = {}
    events: set[str] = set()
    for named in objects:
        for word in words(named.name):
            by_word.setdefault(word, []).append(named)
        events |= words(named.body) if named.kind == _EVENT else set()
    start = words(statement)
    is_definition = _DEFINITION.match(statement) and start.isdisjoint(_ADVANCING)
    runs_code = any(named.kind == _CODE for word in start for named in by_word.get(word, ()))
    if is_definition and not runs_code:
        start = set()
    if runs_code or not _KEEPS_OBJECTS.match(statement):
        start |= events
    found: set[str] = set()
    left, known = start, set[str]()
    while left:
        known.add(word := left.pop())
        for named in by_word.get(word, ()):
            if named.kind == _SEQUENCE:
                found.add(named.name)
            left |= words(named.body) - known
    return found


def words(text: str) -> set[str]:
    """Returns the names in a text, in lower case; those in quotes or strings, too."""
    return {word.lower() for word in _WORD.findall(text)}
