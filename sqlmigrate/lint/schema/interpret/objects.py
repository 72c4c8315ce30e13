"""The changes that statements for indexes, views, types, functions, schemas and triggers make to the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.catalog import Catalog, Column, Constraint, Creation, Function, Index, Table, UserType
from sqlmigrate.lint.schema.interpret.definitions import KINDS, changed, column_constraints, without
from sqlmigrate.lint.schema.interpret.names import free_name, index_name, taken_in
from sqlmigrate.lint.schema.interpret.outputs import output_names
from sqlmigrate.lint.schema.interpret.tables import new_name
from sqlmigrate.lint.schema.replacing import replace
from sqlmigrate.lint.schema.typenames import type_in
from sqlmigrate.sql.builtin import STEADY, VOLATILE
from sqlmigrate.sql.tree import (
    bodies,
    columns_in,
    definition,
    options,
    qualified,
    relation,
    relations_in,
    strings,
    walk,
)

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Name
    from sqlmigrate.sql.parser import Node

# Extensions that create types and functions, but no relations.
_WITHOUT_TABLES = frozenset(
    (
        *("btree_gin", "btree_gist", "citext", "cube", "earthdistance", "fuzzystrmatch", "hstore", "intarray", "isn"),
        *("ltree", "pg_trgm", "pgcrypto", "tablefunc", "unaccent", "uuid-ossp", "vector"),
    )
)
_OTHER_FUNCTIONS = (
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "coalesce",
    "generate_series",
    "unnest",
    "string_agg",
    "array_agg",
)


def create_index(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE INDEX; on a partitioned table without ONLY it creates an index on each partition too."""
    table = catalog.touch(relation(node["relation"]))
    name = node.get("idxname", "")
    if node.get("if_not_exists") and (table.name[0], name) in catalog.index_tables:
        return
    index = index_of(catalog, table, node, created)
    catalog.put(replace(table, indexes=(*table.indexes, index)))
    if table.kind == "partitioned" and node["relation"].get("inh"):
        for child in catalog.children(table.name):
            _create_on_partition(catalog, child, index, created)


def index_of(catalog: Catalog, table: Table, node: Node, created: Creation | None) -> Index:
    """Returns the index that a CREATE INDEX creates."""
    elements = bodies(node, "indexParams")
    name = node.get("idxname") or index_name(table.name[1], elements, taken_in(catalog, table.name[0]))
    only = table.kind == "partitioned" and not node["relation"].get("inh")
    return Index(
        name=(table.name[0], name),
        table=table.name,
        columns=tuple(element.get("name", "") for element in elements),
        unique=bool(node.get("unique")),
        method=node.get("accessMethod", "btree"),
        expressions=tuple(element["expr"] for element in elements if "expr" in element),
        predicate=node.get("whereClause"),
        include=tuple(element.get("name", "") for element in bodies(node, "indexIncludingParams")),
        options=tuple(_element_options(element) for element in elements),
        valid=not only,
        created=created,
    )


def view_name(catalog: Catalog, node: Node) -> Name:
    """Returns the name of a view to create; a view that reads a temporary table is temporary itself."""
    schema, name = new_name(catalog, node["view"])
    reads = (catalog.resolve(read) for read in relations_in(node["query"]))
    return "pg_temp" if any(read[0] == "pg_temp" for read in reads) else schema, name


def create_view(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE VIEW; a view with columns of unknown name is partial."""
    reads = tuple(catalog.resolve(name) for name in relations_in(node["query"]))
    names = strings(node.get("aliases", ())) or output_names(catalog, node["query"])
    catalog.put(
        Table(
            view_name(catalog, node),
            "view",
            {name: Column(name) for name in names if name is not None},
            partial=None in names,
            reads=reads,
            read_columns=_read_columns(catalog, node["query"]),
            created=created,
        )
    )


def create_table_as(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE TABLE AS and CREATE MATERIALIZED VIEW; the types of the columns are unknown."""
    into = node["into"]
    name = new_name(catalog, into["rel"])
    if node.get("if_not_exists") and name in catalog.tables:
        return
    matview = node.get("objtype") == "OBJECT_MATVIEW"
    columns = strings(into.get("colNames", ())) or output_names(catalog, node["query"])
    catalog.put(
        Table(
            name,
            "matview" if matview else "table",
            {column: Column(column) for column in columns if column is not None},
            partial=not matview or None in columns,
            persistence=into["rel"].get("relpersistence", "p"),
            populated=not into.get("skipData"),
            reads=tuple(catalog.resolve(read) for read in relations_in(node["query"])) if matview else (),
            read_columns=_read_columns(catalog, node["query"]) if matview else frozenset(),
            created=created,
        )
    )


def select(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies SELECT … INTO, which creates a table, and calls of functions, which may create any."""
    if catalog.complete and any(_may_create(catalog, body) for kind, body in walk(node) if kind == "FuncCall"):
        catalog.complete = False
    if "intoClause" in node:
        create_table_as(catalog, {"into": node["intoClause"], "query": {"SelectStmt": node}}, created)


def refresh(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies REFRESH MATERIALIZED VIEW."""
    table = catalog.table(relation(node["relation"]))
    if table is not None:
        catalog.put(replace(table, populated=not node.get("skipData")))


def create_enum(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE TYPE … AS ENUM."""
    name = catalog.name_to_create(qualified(node["typeName"]))
    catalog.put_type(UserType(name, "enum", dict.fromkeys(strings(node.get("vals", ()))), created=created))


def alter_enum(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies ALTER TYPE … ADD VALUE and RENAME VALUE."""
    name = catalog.resolve(qualified(node["typeName"]), catalog.types)
    enum = catalog.types.get(name) or UserType(name, "enum")
    values = dict(enum.values)
    if "oldVal" in node:
        values[node.get("newVal", "")] = values.pop(node["oldVal"], None)
    else:
        values.setdefault(node.get("newVal", ""), created)
    catalog.put_type(replace(enum, values=values))


def create_domain(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE DOMAIN."""
    name = catalog.name_to_create(qualified(node["domainname"]))
    constraints = column_constraints(node)
    domain = UserType(
        name,
        "domain",
        base=type_in(catalog, node["typeName"]),
        not_null=any(body["contype"] == "CONSTR_NOTNULL" for body in constraints),
        default=next((body.get("raw_expr") for body in constraints if body["contype"] == "CONSTR_DEFAULT"), None),
        constraints=tuple(
            _domain_constraint(name[1], body) for body in constraints if body["contype"] == "CONSTR_CHECK"
        ),
        created=created,
    )
    catalog.put_type(domain)


def alter_domain(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies ALTER DOMAIN to a domain in the catalog."""
    name = catalog.resolve(qualified(node["typeName"]), catalog.types)
    domain = catalog.types.get(name)
    if domain is None:
        return
    named = node.get("name", "")
    match node.get("subtype"):
        case "C" if definition(node)["contype"] == "CONSTR_CHECK":
            added = _domain_constraint(name[1], definition(node))
            domain = replace(domain, constraints=(*domain.constraints, added))
        case "C" | "O":
            domain = replace(domain, not_null=True)
        case "N":
            domain = replace(domain, not_null=False)
        case "T":
            domain = replace(domain, default=node.get("def"))
        case "X":
            domain = replace(domain, constraints=without(domain.constraints, named))
        case "V":
            domain = replace(domain, constraints=changed(domain.constraints, named, valid=True))
    catalog.put_type(domain)


def create_composite(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE TYPE … AS (…)."""
    name = new_name(catalog, node["typevar"])
    catalog.put_type(UserType(name, "composite", created=created))


def create_range(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE TYPE … AS RANGE."""
    name = catalog.name_to_create(qualified(node["typeName"]))
    catalog.put_type(UserType(name, "range", created=created))


def define(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE TYPE of a base type, which C functions implement."""
    if node.get("kind") == "OBJECT_TYPE":
        name = catalog.name_to_create(qualified(node["defnames"]))
        catalog.put_type(UserType(name, "shell", created=created))


def create_function(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE FUNCTION and CREATE PROCEDURE."""
    name = catalog.name_to_create(qualified(node["funcname"]))
    attributes = options(node.get("options", ()))
    volatility = str(attributes.get("volatility", "volatile"))
    language = str(attributes.get("language", "sql")).lower()
    catalog.functions[name] = Function(name, volatility, language, created, node)


def alter_function(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies ALTER FUNCTION … IMMUTABLE, STABLE or VOLATILE."""
    function = catalog.function(qualified(node["func"].get("objname", ())))
    actions = options(node.get("actions", ()))
    if function is not None and "volatility" in actions:
        catalog.functions[function.name] = replace(function, volatility=str(actions["volatility"]))


def create_cast(catalog: Catalog, _: Node, __: Creation) -> None:
    """Applies CREATE CAST."""
    catalog.has_casts = True


def create_extension(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies CREATE EXTENSION, which may create types and functions, and tables unless it is known to create none."""
    if node.get("extname") == "plpgsql":  # which every database has
        return
    catalog.extensions.add(str(node.get("extname")))
    catalog.complete = catalog.complete and node.get("extname") in _WITHOUT_TABLES


def create_unknown(catalog: Catalog, _: Node, __: Creation) -> None:
    """Applies a statement that may create relations of any name, such as CALL."""
    catalog.complete = False


def create_schema(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE SCHEMA without its elements."""
    catalog.schemas.setdefault(node.get("schemaname", ""), created)
    catalog.dropped_schemas.discard(node.get("schemaname", ""))


def create_trigger(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies CREATE TRIGGER."""
    table = catalog.touch(relation(node["relation"]))
    function = catalog.resolve(qualified(node["funcname"]), catalog.functions)
    catalog.put(replace(table, triggers={**table.triggers, node.get("trigname", ""): function}))


def create_policy(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies CREATE POLICY."""
    table = catalog.touch(relation(node["table"]))
    catalog.put(replace(table, policies=(*table.policies, node.get("policy_name", ""))))


def comment(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies COMMENT ON TABLE."""
    if node.get("objtype") == "OBJECT_TABLE":
        table = catalog.table(qualified(node["object"]["List"]["items"]))
        if table is not None:
            catalog.put(replace(table, comment=node.get("comment", "")))


def _create_on_partition(catalog: Catalog, table: Table, index: Index, created: Creation) -> None:
    keys = "_".join(column or "expr" for column in index.columns)
    name = free_name(table.name[1], keys, "idx", lambda candidate: (table.name[0], candidate) in catalog.index_tables)
    child = replace(index, name=(table.name[0], name), table=table.name, parent=index.name, created=created)
    catalog.put(replace(table, indexes=(*table.indexes, child)))


def _may_create(catalog: Catalog, call: Node) -> bool:
    """Returns whether a function may create relations: it is neither PostgreSQL's own nor IMMUTABLE or STABLE."""
    name = qualified(call.get("funcname", ()))
    function = catalog.function(name)
    if function is not None:
        return function.volatility == "volatile"
    return name[0] != "pg_catalog" and name[1] not in VOLATILE | STEADY and name[1] not in _OTHER_FUNCTIONS


def _element_options(element: Node) -> tuple[str, ...]:
    """Returns the operator class, collation and order of a key, except the defaults."""
    names = (*strings(element.get("opclass", ())), *strings(element.get("collation", ())))
    orders = (element.get("ordering", ""), element.get("nulls_ordering", ""))
    return (*names, *(order for order in orders if order and not order.endswith("DEFAULT")))


def _domain_constraint(domain: str, node: Node) -> Constraint:
    valid = not node.get("skip_validation", False)
    name = node.get("conname") or f"{domain}_check"
    return Constraint(name, KINDS[node["contype"]], valid=valid, expression=node.get("raw_expr"))


def _read_columns(catalog: Catalog, query: Node) -> frozenset[str]:
    """Returns the names of the columns that a query may read; "*" means the columns of an unknown relation."""
    nodes = list(walk(query))
    names = set(columns_in(query))
    for fields in (body.get("fields", ()) for kind, body in nodes if kind == "ColumnRef"):
        if "A_Star" not in fields[-1]:
            continue
        qualifier = strings(fields[:-1])[-1:]
        for source in (body for kind, body in nodes if kind == "RangeVar"):
            if not qualifier or qualifier == [source.get("alias", {}).get("aliasname", source.get("relname"))]:
                table = catalog.table(relation(source))
                names |= {"*"} if table is None or table.partial else set(table.columns)
    return frozenset(names)
