"""The changes that a parsed statement makes to the catalog.

Every statement is assumed to succeed. After dynamic SQL the contents of the catalog are in doubt (`Catalog.cloud`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.interpret import changes, objects, sequences
from sqlmigrate.lint.schema.interpret.tables import alter_table, create_table
from sqlmigrate.sql.tree import relation, strings, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.lint.schema.catalog import Catalog, Creation
    from sqlmigrate.sql.parser import Node


def apply(catalog: Catalog, kind: str, body: Node, created: Creation) -> None:
    """Applies a statement to the catalog, an ALTER TABLE with all its subcommands."""
    change = _CHANGES.get(kind)
    if change is not None:
        change(catalog, body, created)


def changes_schema(kind: str) -> bool:
    """Returns whether statements of that kind can change the schema."""
    return kind in _CHANGES


def apply_command(catalog: Catalog, body: Node, command: Node, created: Creation) -> None:
    """Applies one subcommand of the ALTER TABLE that has this body."""
    if body.get("objtype") in changes.RELATIONS:
        name = catalog.resolve(relation(body["relation"]))
        if body.get("missing_ok") and name in catalog.dropped:
            return
        alter_table(catalog, name, command, created)


def names_in(kind: str, body: Node) -> set[str]:
    """Returns the unqualified names of all objects that a statement may create, change or drop."""
    if not changes_schema(kind):
        return set()
    relations = {inner["relname"] for _, inner in walk({kind: body}) if "relname" in inner}
    dropped = {name for _, name in changes.dropped_names(body)} if kind == "DropStmt" else set()
    names = {str(body[key]) for key in ("newname", "idxname", "subname", "schemaname") if key in body}
    lists = (body.get(key) for key in ("typeName", "domainname", "funcname"))
    qualified_names = {strings(nodes)[-1] for nodes in lists if isinstance(nodes, list) and strings(nodes)}
    return relations | dropped | names | qualified_names


def _alter_table(catalog: Catalog, body: Node, created: Creation) -> None:
    for item in body.get("cmds", ()):
        apply_command(catalog, body, item["AlterTableCmd"], created)


def _create_schema(catalog: Catalog, body: Node, created: Creation) -> None:
    """Applies CREATE SCHEMA, whose elements are created in the new schema."""
    objects.create_schema(catalog, body, created)
    path, catalog.search_path = catalog.search_path, (body.get("schemaname", ""), *catalog.search_path)
    for element in body.get("schemaElts", ()):
        for kind, statement in element.items():
            apply(catalog, kind, statement, created)
    catalog.search_path = path


_CHANGES: dict[str, Callable[[Catalog, Node, Creation], None]] = {
    "CreateStmt": create_table,
    "CreateForeignTableStmt": lambda catalog, body, created: create_table(catalog, body["base"], created),
    "AlterTableStmt": _alter_table,
    "IndexStmt": objects.create_index,
    "ViewStmt": objects.create_view,
    "CreateTableAsStmt": objects.create_table_as,
    "SelectStmt": objects.select,
    "RefreshMatViewStmt": objects.refresh,
    "CreateEnumStmt": objects.create_enum,
    "AlterEnumStmt": objects.alter_enum,
    "CreateDomainStmt": objects.create_domain,
    "AlterDomainStmt": objects.alter_domain,
    "CompositeTypeStmt": objects.create_composite,
    "CreateRangeStmt": objects.create_range,
    "DefineStmt": objects.define,
    "CreateFunctionStmt": objects.create_function,
    "AlterFunctionStmt": objects.alter_function,
    "CreateCastStmt": objects.create_cast,
    "CreateExtensionStmt": objects.create_extension,
    "ImportForeignSchemaStmt": objects.create_unknown,
    "CallStmt": objects.create_unknown,
    "CreateSeqStmt": sequences.create_sequence,
    "AlterSeqStmt": sequences.alter_sequence,
    "CreateSchemaStmt": _create_schema,
    "CreateTrigStmt": objects.create_trigger,
    "CreatePolicyStmt": objects.create_policy,
    "CommentStmt": objects.comment,
    "DropStmt": changes.drop,
    "RenameStmt": changes.rename,
    "AlterObjectSchemaStmt": changes.set_schema,
}
