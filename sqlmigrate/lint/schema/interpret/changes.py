"""The changes that DROP, RENAME and SET SCHEMA make to the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.schema.catalog import Catalog
from sqlmigrate.lint.schema.interpret.definitions import changed
from sqlmigrate.lint.schema.interpret.dropping import drop_relation
from sqlmigrate.lint.schema.interpret.sequences import rename_owner, rename_owning_column, rename_sequence
from sqlmigrate.lint.schema.replacing import replace
from sqlmigrate.sql.tree import kind_and_body, qualified, relation, strings, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from sqlmigrate.lint.schema.catalog import Creation, Name, Table
    from sqlmigrate.lint.schema.state import Statement
    from sqlmigrate.sql.parser import Node

RELATIONS = ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE")
TYPES = ("OBJECT_TYPE", "OBJECT_DOMAIN")
ROUTINES = ("OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE")
_NAMES = {"List": "items", "TypeName": "names", "ObjectWithArgs": "objname"}


def drop(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies DROP of any kind of object."""
    kind = node["removeType"]
    drop_object = _DROPS.get(kind)
    if drop_object is not None:  # PostgreSQL finds all objects before it drops the first
        objects = _objects_of(catalog, kind)
        for name in dict.fromkeys([catalog.resolve(name, objects) for name in dropped_names(node)]):
            drop_object(catalog, name)
    if kind in ("OBJECT_TRIGGER", "OBJECT_POLICY"):
        _drop_of_table(catalog, node, kind)


def dropped_names(node: Node) -> list[Name]:
    """Returns schema and name of each object that a DROP names."""
    objects = ((item, *kind_and_body(item)) for item in node.get("objects", ()))
    return [qualified(body.get(_NAMES[kind], ()) if kind in _NAMES else [item]) for item, kind, body in objects]


def tables_dropped(statements: Iterable[Statement], catalog: Catalog) -> set[Name]:
    """Returns the tables that the statements drop and that no longer exist."""
    drops = (statement.body for statement in statements if statement.kind == "DropStmt")
    names = (dropped_names(body) for body in drops if body["removeType"] == "OBJECT_TABLE")
    return {resolved for some in names for name in some if (resolved := catalog.resolve(name)) not in catalog.tables}


def rename(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies RENAME of any kind of object."""
    kind, new = node["renameType"], node.get("newname", "")
    name, part = relation(node.get("relation", {})), node.get("subname", "")
    sequence = catalog.resolve(name, catalog.sequences)
    if kind == "OBJECT_SEQUENCE" or (kind == "OBJECT_TABLE" and sequence in catalog.sequences):
        rename_sequence(catalog, sequence, (sequence[0], new))
    elif kind in RELATIONS:
        _rename_table(catalog, name, new)
    elif kind == "OBJECT_INDEX":
        _rename_index(catalog, name, new)
    elif kind == "OBJECT_COLUMN" and "relation" in node:
        _rename_column(catalog, name, part, new)
    elif kind == "OBJECT_TABCONSTRAINT":
        _rename_constraint(catalog, name, part, new)
    elif kind in TYPES:
        names = node["object"]["List"]["items"]
        _rename_type(catalog, catalog.resolve(qualified(names), catalog.types), new)
    elif kind in ROUTINES:
        _rename_function(catalog, qualified(node["object"]["ObjectWithArgs"]["objname"]), new)
    elif kind == "OBJECT_SCHEMA":
        _rename_schema(catalog, part, new)


def set_schema(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies ALTER … SET SCHEMA."""
    kind, schema = node["objectType"], node.get("newschema", "")
    sequence = catalog.resolve(relation(node.get("relation", {})), catalog.sequences)
    if kind == "OBJECT_SEQUENCE" or (kind == "OBJECT_TABLE" and sequence in catalog.sequences):
        rename_sequence(catalog, sequence, (schema, sequence[1]))
    elif kind in RELATIONS:
        old = catalog.resolve(relation(node["relation"]))
        _replace_name(catalog, old, (schema, old[1]))
    elif kind in TYPES:
        name = catalog.resolve(qualified(node["object"]["List"]["items"]), catalog.types)
        user_type = catalog.types.pop(name, None)
        if user_type is not None:
            catalog.put_type(replace(user_type, name=(schema, name[1])))


def _drop_type(catalog: Catalog, name: Name) -> None:
    """Drops a type and the columns of the type: with such columns, DROP succeeds only with CASCADE."""
    catalog.types.pop(name, None)
    catalog.dropped.add(name)
    for table in catalog.using(name[1]):
        kept = {
            key: column
            for key, column in table.columns.items()
            if column.type is None or not is_named(catalog, column.type.name, name)
        }
        if len(kept) < len(table.columns):
            catalog.put(replace(table, columns=kept))


def is_named(catalog: Catalog, written: str, name: Name) -> bool:
    """Returns whether the name of a type, as written, means the type of that name."""
    schema, _, last = written.rpartition(".")
    return last == name[1] and (schema == name[0] or (not schema and name[0] in catalog.search_path))


def _drop_schema(catalog: Catalog, schema: str) -> None:
    catalog.schemas.pop(schema, None)
    catalog.dropped_schemas.add(schema)
    for name in catalog.tables.of_schema(schema):
        catalog.drop(name)
    for name in catalog.sequences.of_schema(schema):
        catalog.drop_sequence(name)
    for objects in (catalog.types, catalog.functions):
        for name in objects.of_schema(schema):
            objects.pop(name)


def _drop_function(catalog: Catalog, name: Name) -> None:
    catalog.functions.pop(name, None)


_DROPS: dict[str, Callable[[Catalog, Name], None]] = {
    **dict.fromkeys(RELATIONS, drop_relation),
    **dict.fromkeys(TYPES, _drop_type),
    **dict.fromkeys(ROUTINES, _drop_function),
    "OBJECT_INDEX": Catalog.drop_index,
    "OBJECT_SEQUENCE": Catalog.drop_sequence,
    "OBJECT_SCHEMA": lambda catalog, name: _drop_schema(catalog, name[1]),
}


def _objects_of(catalog: Catalog, kind: str) -> Container[Name]:
    """Returns the objects among which DROP finds those of a kind."""
    objects: dict[str, Container[Name]] = {
        **dict.fromkeys(TYPES, catalog.types),
        **dict.fromkeys(ROUTINES, catalog.functions),
        "OBJECT_INDEX": catalog.index_tables,
        "OBJECT_SEQUENCE": catalog.sequences,
    }
    return objects.get(kind, catalog.tables)


def _drop_of_table(catalog: Catalog, node: Node, kind: str) -> None:
    for item in node.get("objects", ()):
        parts = strings(item["List"]["items"])
        table = catalog.table((parts[-3] if len(parts) > 2 else "", parts[-2]))
        if table is None:
            continue
        if kind == "OBJECT_TRIGGER":
            kept = {name: function for name, function in table.triggers.items() if name != parts[-1]}
            catalog.put(replace(table, triggers=kept))
        else:
            catalog.put(replace(table, policies=tuple(policy for policy in table.policies if policy != parts[-1])))


def _rename_table(catalog: Catalog, name: Name, new: str) -> None:
    old = catalog.resolve(name)
    _replace_name(catalog, old, (old[0], new))


def _replace_name(catalog: Catalog, old: Name, new: Name) -> None:
    """Renames or moves a table with its indexes, also where views, children and foreign keys name the table."""
    table = catalog.tables.get(old)
    if table is None:
        return
    rename_owner(catalog, old, new)
    catalog.drop(old)
    indexes = tuple(replace(index, name=(new[0], index.name[1]), table=new) for index in table.indexes)
    catalog.put(replace(table, name=new, indexes=indexes))
    for dependent in catalog.referring(old):
        if _names(dependent, old):
            catalog.put(_with_name(dependent, old, new))


def _names(table: Table, name: Name) -> bool:
    return (
        name in table.reads
        or name in table.parents
        or any(constraint.references == name for constraint in table.constraints)
    )


def _with_name(table: Table, old: Name, new: Name) -> Table:
    def renamed(name: Name) -> Name:
        return new if name == old else name

    return replace(
        table,
        reads=tuple(map(renamed, table.reads)),
        parents=tuple(map(renamed, table.parents)),
        constraints=tuple(
            replace(constraint, references=new) if constraint.references == old else constraint
            for constraint in table.constraints
        ),
    )


def _rename_index(catalog: Catalog, name: Name, new: str) -> None:
    index = catalog.index(name)
    catalog.dropped.add(catalog.resolve(name, catalog.index_tables))
    if index is None:
        _rename_table(catalog, name, new)  # ALTER INDEX accepts the name of a table too
        return
    table = _with_index_name(catalog, catalog.tables[index.table], index.name[1], new)
    constraints = changed(table.constraints, index.name[1], name=new) if index.constraint else table.constraints
    catalog.put(replace(table, constraints=constraints))


def _with_index_name(catalog: Catalog, table: Table, old: str, new: str) -> Table:
    if catalog.index_tables.pop((table.name[0], old), None) is None:
        return table
    indexes = (replace(index, name=(index.name[0], new)) if index.name[1] == old else index for index in table.indexes)
    return replace(table, indexes=tuple(indexes))


def _rename_column(catalog: Catalog, name: Name, old: str, new: str) -> None:
    table = catalog.touch(name)
    rename_owning_column(catalog, table.name, old, new)

    def renamed(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in names)

    columns = (replace(column, name=new) if key == old else column for key, column in table.columns.items())
    constraints = (
        replace(constraint, columns=renamed(constraint.columns), expression=_tree_with(constraint.expression, old, new))
        for constraint in table.constraints
    )
    indexes = (
        replace(
            index,
            columns=renamed(index.columns),
            include=renamed(index.include),
            expressions=tuple(_tree_with(expression, old, new) for expression in index.expressions),
            predicate=_tree_with(index.predicate, old, new),
        )
        for index in table.indexes
    )
    catalog.put(
        replace(
            table,
            columns=dict(zip(renamed(table.columns), columns, strict=True)),
            keys=renamed(table.keys),
            constraints=tuple(constraints),
            indexes=tuple(indexes),
        )
    )


def _tree_with(tree: Any, old: str, new: str) -> Any:
    """Returns a copy of an expression with a column renamed."""
    if tree is None or not any(kind == "ColumnRef" for kind, _ in walk(tree)):
        return tree
    if isinstance(tree, list):
        return [_tree_with(item, old, new) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "ColumnRef" in tree:
        fields = tree["ColumnRef"].get("fields", [])
        if strings(fields)[-1:] == [old]:
            return {"ColumnRef": {"fields": [*fields[:-1], {"String": {"sval": new}}]}}
        return tree
    return {key: _tree_with(value, old, new) for key, value in tree.items()}


def _rename_constraint(catalog: Catalog, name: Name, old: str, new: str) -> None:
    table = catalog.table(name)
    catalog.dropped_constraints.add((catalog.resolve(name)[0], old))
    if table is not None:
        table = _with_index_name(catalog, table, old, new)
        validated = tuple(new if name == old else name for name in table.validated)
        catalog.put(replace(table, constraints=changed(table.constraints, old, name=new), validated=validated))


def _rename_type(catalog: Catalog, old: Name, new: str) -> None:
    user_type = catalog.types.pop(old, None)
    if user_type is None:
        return
    catalog.put_type(replace(user_type, name=(old[0], new)))
    catalog.dropped.add(old)
    names = {old[1]: new, f"{old[0]}.{old[1]}": f"{old[0]}.{new}"}
    for table in catalog.using(old[1]):
        columns = {
            name: replace(column, type=column.type._replace(name=names[column.type.name]))
            for name, column in table.columns.items()
            if column.type and column.type.name in names
        }
        if columns:
            catalog.put(replace(table, columns=table.columns | columns))


def _rename_function(catalog: Catalog, name: Name, new: str) -> None:
    function = catalog.functions.pop(catalog.resolve(name, catalog.functions), None)
    if function is not None:
        new_name = (function.name[0], new)
        catalog.functions[new_name] = replace(function, name=new_name)


def _rename_schema(catalog: Catalog, old: str, new: str) -> None:
    catalog.dropped_schemas.add(old)
    catalog.dropped_schemas.discard(new)
    if old in catalog.schemas:
        catalog.schemas[new] = catalog.schemas.pop(old)
    for name in catalog.tables.of_schema(old):
        _replace_name(catalog, name, (new, name[1]))
    for name in catalog.sequences.of_schema(old):
        rename_sequence(catalog, name, (new, name[1]))
    for name in catalog.types.of_schema(old):
        catalog.put_type(replace(catalog.types.pop(name), name=(new, name[1])))
    for name in catalog.functions.of_schema(old):
        catalog.functions[new, name[1]] = replace(catalog.functions.pop(name), name=(new, name[1]))
