"""Rules about triggers that a file creates on tables in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import is_instead
from sqlmigrate.lint.facts.usage import relation_decider, relation_in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.sql.tree import relation

if TYPE_CHECKING:
    from collections.abc import Iterator


def _check_trigger(case: Case) -> Iterator[Hit]:
    name = relation(case.node["relation"])
    is_on_view = is_instead(case.node) or (case.table is not None and case.table.kind == "view")
    if case.state.down or is_on_view or not relation_in_use(case, name):
        return
    runs = "for each row" if case.node.get("row") else "once for each statement"
    yield Hit(
        f"CREATE TRIGGER takes a SHARE ROW EXCLUSIVE lock on {name[1]}, which blocks writes until the transaction "
        f"ends; the function then runs {runs} that sessions write",
        "create the trigger in a file of its own, and keep its function short",
        relation_decider(case, name),
    )


TRIGGER = Rule(
    name="create-trigger",
    level=Level.NOTICE,
    on=("CreateTrigStmt",),
    stake="Blocks writes until the transaction ends, and every later write of the table takes longer.",
    safe="create trigger g before update on t for each row when (old.a is distinct from new.a) execute function f();",
    check=_check_trigger,
    examples=(
        bad("create trigger g before insert on t for each row execute function f();"),
        bad("create trigger g after insert on t for each row execute function f();", "create table t (a int);"),
        bad("create or replace trigger g after update on t for each statement execute function f();"),
        bad("create constraint trigger g after insert on t deferrable for each row execute function f();"),
        good("create table t (a int); create trigger g before insert on t for each row execute function f();"),
        good("create trigger g instead of insert on v for each row execute function f();"),
        good("create event trigger e on ddl_command_end execute function f();"),
        down("create trigger g before insert on t for each row execute function f();"),
    ),
)

RULES = (TRIGGER,)
