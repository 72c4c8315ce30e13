"""Breaks clients or loses data: triggers and rules that are enabled, disabled or dropped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.usage import relation_decider, relation_in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.rules.clients.origin import at_end
from sqlmigrate.sql.tree import constant, qualified, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Name, Table

_VERSION = re.compile(r"_?(v?\d+|new|old|te?mp)$", re.IGNORECASE)
_OFF = (
    *("AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser", "AT_EnableReplicaTrig"),
    *("AT_DisableRule", "AT_EnableReplicaRule"),
)
_ON = (
    *("AT_EnableTrig", "AT_EnableTrigAll", "AT_EnableTrigUser", "AT_EnableAlwaysTrig"),
    *("AT_EnableRule", "AT_EnableAlwaysRule"),
)


def _switched(case: Case) -> Iterator[Hit]:
    if case.kind == "VariableSetStmt":
        values = [constant(value) for value in case.node.get("args", ())]
        if case.node.get("name", "").lower() == "session_replication_role" and "replica" in values:
            yield Hit("this session's later writes fire no triggers and check no foreign keys")
        return
    if case.state.down or not relation_in_use(case, case.name):
        return
    trigger = case.node.get("name") or "every trigger"
    by = relation_decider(case, case.name)
    if case.kind in _OFF:
        yield Hit(f"{trigger} no longer fires, for the writes of all sessions", _SESSION_SETTING, by)
    elif not case.state.altered[case.name].intersection(_OFF):
        message = f"{trigger} now fires for the writes of all sessions; it did not see earlier rows"
        yield Hit(message, _SESSION_SETTING, by)


_SESSION_SETTING = "test a session setting in the trigger's WHEN condition, and set it in this transaction"


SWITCHED = Rule(
    name="trigger-switched",
    level=Level.WARNING,
    on=(*_OFF, *_ON, "VariableSetStmt"),
    stake="This affects all sessions: data that the trigger maintains (audit rows, totals) silently becomes wrong.",
    safe="-- in the trigger: when (current_setting('app.backfill', true) is distinct from 'on')\n"
    "set local app.backfill = 'on';",
    check=_switched,
    examples=(
        bad("alter table t disable trigger all;"),
        bad("alter table t disable trigger user; update t set a = 1 where id = 1; alter table t enable trigger user;"),
        bad("alter table t disable trigger g;", "create table t (a int);"),
        bad("alter table t enable trigger g;"),
        bad("alter table t enable replica trigger g;"),
        bad("alter table t disable rule r;"),
        bad("set session_replication_role = replica;"),
        good("set session_replication_role = default;"),
        good("set session_replication_role = 'origin';"),
        good("create table t (a int); alter table t disable trigger all;"),
        good("alter event trigger e disable;"),
    ),
)


def _drop_trigger(case: Case) -> Iterator[Hit]:
    if case.node["removeType"] != "OBJECT_TRIGGER" or case.state.down:
        return
    for item in case.node.get("objects", ()):
        parts = item["List"]["items"]
        name, trigger = qualified(parts[:-1]), strings(parts)[-1]
        table = case.catalog.table(name)
        absent = table is not None and not table.partial and trigger not in table.triggers
        if (absent and case.node.get("missing_ok")) or not relation_in_use(case, name) or _created_here(case, trigger):
            continue
        yield Hit(
            f"what {trigger} maintained or checked is no longer maintained or checked",
            f"create a trigger {trigger} again in the same transaction",
            relation_decider(case, name),
            unless=_is_replaced(case, case.catalog.resolve(name), trigger),
        )


def _created_here(case: Case, trigger: str) -> bool:
    return bool(case.state.run_on("CreateTrigStmt", trigger))


def _is_replaced(case: Case, name: Name, trigger: str) -> Callable[[Catalog], bool]:
    """Whether the table is dropped, or has a trigger of the name, or a new version of the trigger, at the end.

    Another table that has the name then is trusted to have the triggers that it needs, if it has any.
    """
    stem = _VERSION.sub("", trigger)

    def has_version(table: Table) -> bool:
        if case.state.creates(table.created):  # another table took its name
            return bool(table.triggers)
        similar = (other for other in table.triggers if other.startswith(stem) and _created_here(case, other))
        return trigger in table.triggers or any(_is_version(other, trigger) for other in similar)

    is_there = at_end(name, has_version)
    return lambda catalog: name in catalog.dropped or is_there(catalog)


def _is_version(new: str, old: str) -> bool:
    """Whether a name is an old name with another version, such as g_v2 or g_new, or continues the old name."""
    return new.startswith(f"{old}_") or _VERSION.sub("", new) == _VERSION.sub("", old)


DROP_TRIGGER = Rule(
    name="drop-trigger",
    level=Level.WARNING,
    on=("DropStmt",),
    stake="What the trigger maintained (audit rows, totals, a derived column) silently becomes wrong.",
    safe="create or replace trigger g before insert on t for each row execute function f();",
    check=_drop_trigger,
    examples=(
        bad("drop trigger g on t;"),
        bad("drop trigger if exists g on s.t cascade;"),
        bad("drop trigger g on t;", "create table t (a int);"),
        bad("drop trigger g on t; create trigger h before insert on t for each row execute function f();"),
        good("drop trigger if exists g on t; create trigger g before insert on t for each row execute function f();"),
        bad("drop trigger g on t; create trigger h2 before insert on t for each row execute function f();"),
        good("drop trigger g on t; create trigger g_v2 before insert on t for each row execute function f();"),
        good("create trigger g_v2 before insert on t for each row execute function f(); drop trigger g_v1 on t;"),
        good("create trigger g before insert on t for each row execute function f(); drop trigger g on t;"),
        good("create table t (a int); drop trigger if exists g on t;"),
        good("drop trigger if exists g on t;", "create table t (a int);"),
        good("drop trigger g on t; drop table t;"),
        good("drop event trigger g;"),
        down("drop trigger g on t;", "create trigger g before insert on t for each row execute function f();"),
    ),
)

RULES = (SWITCHED, DROP_TRIGGER)
