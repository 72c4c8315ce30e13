"""Correctness: TRUNCATE that fails because another table references the table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.certain import certain_table
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.safer.objects import without_only
from sqlmigrate.sql.tree import relation

if TYPE_CHECKING:
    from collections.abc import Iterator


def _check_truncate(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    items = [item["RangeVar"] for item in case.node["relations"]]
    names = [case.catalog.resolve(relation(item)) for item in items]
    for name, item in zip(names, items, strict=True):
        table = certain_table(case.catalog, name)
        if table is not None and table.kind == "partitioned" and not item.get("inh"):
            message = f"cannot truncate only partitioned table {name[1]}"
            yield Hit(message, partial(without_only, case, item), decider(case, table.created), node=item)
        for referrer in case.catalog.referring(name) if case.node.get("behavior") != "DROP_CASCADE" else ():
            keys = [key for key in referrer.constraints if key.references == name and key.enforced]
            is_truncated = any(other in names for other in (referrer.name, *referrer.parents))
            if keys and not is_truncated and certain_table(case.catalog, referrer.name):
                yield Hit(
                    f"cannot truncate {name[1]}: {keys[0].name} of {referrer.name[1]} references it",
                    "delete the rows in batches, or truncate the referencing tables too",
                    decider(case, keys[0].created or referrer.created),
                    node=item,
                )


_R = "create table r (id int primary key, up int references r); "
_T = _R + "create table t (a int references r); "

TRUNCATE = Rule(
    name="truncate-fails",
    level=Level.ERROR,
    on=("TruncateStmt",),
    stake="The statement fails, even if the referencing table is empty, unless it truncates that table too.",
    safe="delete from r where id between 1 and 10000; -- and so on, in batches",
    check=_check_truncate,
    examples=(
        bad("truncate r;", _T),
        bad(
            "truncate r restart identity;",
            _R + "create table t (a int); alter table t add foreign key (a) references r;",
        ),
        bad("truncate only p;", "create table p (a int) partition by list (a);"),
        good("truncate r;", _R),
        good("truncate r, t;", _T),
        good("truncate r cascade;", _T),
        good("truncate r;", _T + "alter table t drop constraint t_a_fkey;"),
        good("truncate r;", _T + "drop table t;"),
        good("delete from r where id < 5;", _T),
        good("truncate p;", "create table p (a int) partition by list (a);"),
    ),
)

RULES = (TRUNCATE,)
