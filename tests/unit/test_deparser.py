from __future__ import annotations

from typing import Any

import pytest

from sqlmigrate.lint.rules import RULES
from sqlmigrate.sql.deparser import DeparseFault, deparse
from sqlmigrate.sql.parser import SyntaxFault, parse

_INDEX = (
    'create unique index if not exists "I x" on app."T" (lower(a) desc nulls last, b text_pattern_ops) include (c) '
    "nulls not distinct with (fillfactor = 70) tablespace x where a is not null"
)
_CONSTRAINT = (
    "alter table if exists only s.t add constraint c foreign key (a, b) references s.r (x, y) on delete cascade "
    "deferrable initially deferred not valid, add column b int default 1 check (b > 0) unique"
)
STATEMENTS = (
    _INDEX,
    _CONSTRAINT,
    'drop index concurrently if exists app."Foo_key", "SELECT" cascade',
    "alter table t add constraint c check (a ~ E'\\\\d' and b = '{\"A B\"}' and c <> 'It''s NULL') not valid",
    "create function f(a int, b text default 'X') returns int language sql as $$ SELECT 1 $$",
    "alter table p attach partition q for values from (minvalue) to ('2025-01-01')",
    "alter table t add constraint e exclude using gist (during with &&) where (a > 0)",
)


def without_places(node: Any) -> Any:
    if isinstance(node, dict):
        places = ("location", "stmt_location", "stmt_len", "list_start", "list_end", "rexpr_list_start")
        return {key: without_places(value) for key, value in node.items() if key not in (*places, "rexpr_list_end")}
    return [without_places(item) for item in node] if isinstance(node, list) else node


def trees(sql: str) -> list[Any]:
    return [tree["stmt"] for tree in parse(sql)]


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("sql", STATEMENTS)
def test_deparsed_statement_has_the_same_tree(sql: str, *, upper: bool) -> None:
    assert without_places(trees(deparse(trees(sql), upper=upper))) == without_places(trees(sql))


def test_examples_of_all_rules_keep_their_trees() -> None:
    for sql in {example.sql for rule in RULES for example in rule.examples}:
        try:
            statements = trees(sql)
        except SyntaxFault:
            continue
        assert without_places(trees(deparse(statements))) == without_places(statements)


def test_keywords_have_the_case_asked_for_and_names_keep_theirs() -> None:
    statements = trees('create index on "T" ("A") where b = \'NULL\'')
    assert deparse(statements) == 'create index on "T" using btree ("A") where b = \'NULL\';'
    assert deparse(statements, upper=True) == 'CREATE INDEX ON "T" USING btree ("A") WHERE b = \'NULL\';'


def test_incomplete_tree_is_a_fault() -> None:
    with pytest.raises(DeparseFault):
        deparse([{"IndexStmt": {"no_such_field": True}}])
    with pytest.raises(DeparseFault):
        deparse([{"NoSuchStmt": {}}])


@pytest.mark.parametrize(
    "sql",
    [
        "do $$ begin null; end $$;",
        "do $$ it''s \\ é $$;",
        "do language plpgsql $$ begin null; end $$;",
        "do $outer$ begin perform $$x$$; end $outer$;",
    ],
)
def test_a_block_keeps_its_body_and_quotes(sql: str) -> None:
    (tree,) = parse(sql)
    assert deparse([tree["stmt"]]) == sql
