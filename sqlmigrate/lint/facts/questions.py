"""Questions of the rules about the schema and the file; the answer may be None for "cannot tell"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.rows import is_truncated
from sqlmigrate.lint.finding import Decider
from sqlmigrate.lint.rule import per_case
from sqlmigrate.lint.schema.datatype import BUILT_IN, Type
from sqlmigrate.lint.schema.replacing import replace
from sqlmigrate.sql.tree import columns_in, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Catalog, Index, Name, Table, UserType
    from sqlmigrate.sql.parser import Node


_TRIGGER_TYPE_INSTEAD = 64


def is_new(case: Case, name: Name | None = None) -> bool:
    """Returns whether no application can use the table: it is temporary, this file created it, or it is truncated."""
    return _is_new(case, case.catalog.resolve(name)) if name is not None else _has_new_table(case)


@per_case
def _has_new_table(case: Case) -> bool:
    return _is_new(case, case.name)


def _is_new(case: Case, resolved: Name) -> bool:
    table = case.catalog.tables.get(resolved)
    return (table is not None and case.state.hides(table)) or is_truncated(case.catalog, case.state, resolved)


def table_decider(case: Case, table: Table | None) -> Decider:
    """Returns the source of the facts about a table."""
    return Decider.FILE if table is None else case.decider(table.created)


def proves_not_null(table: Table | None, column: str) -> bool:
    """Returns whether the server can prove that the column has no NULL: by NOT NULL or by a valid CHECK."""
    if table is None:
        return False
    definition = table.columns.get(column)
    return bool(definition and definition.not_null) or any(
        implies_not_null(check.expression, column) for check in table.checks
    )


def before_validations(case: Case, table: Table | None) -> Table | None:
    """Returns the table without the constraints that the same ALTER TABLE validates: it does so after all else."""
    names = case.statement.named("AT_ValidateConstraint")
    if table is None or not names:
        return table
    constraints = tuple(constraint for constraint in table.constraints if constraint.name not in names)
    return replace(table, constraints=constraints, validated=tuple(set(table.validated).difference(names)))


def is_instead(trigger: Node) -> bool:
    """Returns whether a CREATE TRIGGER has INSTEAD OF: the trigger is one of a view."""
    return bool(trigger.get("timing", 0) & _TRIGGER_TYPE_INSTEAD)


def is_constrained_domain(catalog: Catalog, type_: Type) -> bool | None:
    """Returns whether a type is a domain with a CHECK or NOT NULL, or None for an unknown type."""
    if type_.name in BUILT_IN:
        return False
    domain = catalog.type(type_.name)
    if domain is None:
        return None
    if domain.kind != "domain":
        return False
    constrained = domain.not_null or bool(domain.constraints)
    return constrained or (domain.base is not None and is_constrained_domain(catalog, domain.base))


def domain_default(catalog: Catalog, type_: Type | None) -> tuple[UserType, Node] | None:
    """Returns the domain that gives a type its default, with the default, or None if the type has none."""
    domain = catalog.type(type_.name) if type_ and not type_.array and type_.name not in BUILT_IN else None
    if domain is None or domain.default is None:
        return domain_default(catalog, domain.base) if domain and domain.base else None
    return domain, domain.default


def domains_over(catalog: Catalog, domain: str) -> set[str]:
    """Returns the unqualified names of the domain, and of all domains over it."""
    names, new = {domain}, [domain]
    while new:
        over = {name for _, name in catalog.types.in_order(catalog.users.get(new.pop(), ()))} - names
        names |= over
        new += over
    return names


def domain_requires_value(catalog: Catalog, type_: Type | None) -> bool:
    """Returns whether a type is a domain that does not accept NULL, by NOT NULL or by a CHECK."""
    domain = catalog.type(type_.name) if type_ and not type_.array and type_.name not in BUILT_IN else None
    if domain is None:
        return False
    checks = (check.expression for check in domain.constraints if check.valid)
    return (
        domain.not_null
        or any(implies_not_null(expression, "value") for expression in checks)
        or domain_requires_value(catalog, domain.base)
    )


def indexes_reading(table: Table, column: str) -> list[Index]:
    """Returns the indexes that read the column in an expression or in the predicate."""
    return [index for index in table.indexes if column in columns_in([*index.expressions, index.predicate or {}])]


def indexed_first(table: Table, columns: tuple[str, ...]) -> bool:
    """Returns whether an index starts with these columns, in any order."""
    count = len(columns)
    return any(
        set(index.columns[:count]) == set(columns) for index in table.indexes if index.method in ("btree", "hash")
    )


def default_partition(catalog: Catalog, parent: Name) -> Table | None:
    """Returns the DEFAULT partition of a table, or None if it is unknown."""
    child = catalog.tables.get(catalog.default_partitions.get(parent, parent))
    is_default = child is not None and parent in child.parents and child.bound and child.bound.get("is_default")
    return child if is_default else None


def conjuncts(expression: Node | None) -> Iterator[Node]:
    """Yields the parts of a condition that are joined by AND."""
    if not expression:
        return
    bool_expression = expression.get("BoolExpr", {})
    if bool_expression.get("boolop") == "AND_EXPR":
        for argument in bool_expression.get("args", ()):
            yield from conjuncts(argument)
    else:
        yield expression


def implies_not_null(expression: Node | None, column: str) -> bool:
    """Returns whether a condition rejects NULL in the column."""
    for part in conjuncts(expression):
        test = part.get("NullTest", {})
        tested = strings(test.get("arg", {}).get("ColumnRef", {}).get("fields", []))
        if test.get("nulltesttype") == "IS_NOT_NULL" and tested[-1:] == [column]:
            return True
        either = part.get("BoolExpr", {})
        if either.get("boolop") == "OR_EXPR" and all(implies_not_null(argument, column) for argument in either["args"]):
            return True
    return False
