"""The part of the schema that the files create.

The objects are immutable; the catalog is mutable and cheap to copy. An unknown object or value is None. A `partial`
table may have further columns, constraints and indexes: an unlisted column may exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Container

    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

T = TypeVar("T")
Name = tuple[str, str]
DEFAULT_PATH = ("public",)


class Creation(NamedTuple):
    """The file and the transaction that created an object, by their numbers."""

    file: int
    transaction: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column; None means unknown. `generated` is "stored", "virtual" or empty."""

    name: str
    type: Type | None = None
    not_null: bool | None = None
    default: Node | None = None
    identity: str = ""
    generated: str = ""
    collation: str = ""
    created: Creation | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table or a domain; `kind` is check, not null, primary, unique, foreign or exclude."""

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    valid: bool = True
    enforced: bool = True
    expression: Node | None = None
    references: Name | None = None
    referenced: tuple[str, ...] = ()
    no_inherit: bool = False
    created: Creation | None = None

    @property
    def proves(self) -> bool:
        """Whether every row is known to satisfy the constraint."""
        return self.valid and self.enforced


@dataclass(frozen=True, slots=True)
class Index:
    """An index; for a key that is an expression, `columns` has an empty string and `expressions` the parse tree.

    The index of a constraint has the constraint's name. `parent` is the index of the partitioned table.
    """

    name: Name
    table: Name
    columns: tuple[str, ...] = ()
    unique: bool = False
    method: str = "btree"
    expressions: tuple[Node, ...] = ()
    predicate: Node | None = None
    include: tuple[str, ...] = ()
    options: tuple[tuple[str, ...], ...] = ()
    constraint: bool = False
    valid: bool = True
    parent: Name | None = None
    created: Creation | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A relation with columns; `kind` is table, partitioned, view, matview or foreign.

    A partitioned table has `keys`, a partition has `bound`. A view has `reads`, the relations that it
    names, and `read_columns`, the names of the columns that it may read. `triggers` maps triggers to their functions.
    """

    name: Name
    kind: str = "table"
    columns: dict[str, Column] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    partial: bool = False
    persistence: str = "p"
    keys: tuple[str, ...] = ()
    parents: tuple[Name, ...] = ()
    bound: Node | None = None
    populated: bool = True
    reads: tuple[Name, ...] = ()
    read_columns: frozenset[str] = frozenset()
    row_security: bool = False
    triggers: dict[str, Name] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    comment: str | None = None
    tablespace: str = ""
    method: str = ""
    created: Creation | None = None

    def constraint(self, name: str) -> Constraint | None:
        """Returns the constraint of that name."""
        return next((constraint for constraint in self.constraints if constraint.name == name), None)

    @property
    def checks(self) -> list[Constraint]:
        """The CHECK constraints that every row is known to satisfy."""
        return [constraint for constraint in self.constraints if constraint.kind == "check" and constraint.proves]

    @property
    def primary_key(self) -> Constraint | None:
        """The primary key."""
        return next((constraint for constraint in self.constraints if constraint.kind == "primary"), None)


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that a file created: `kind` is enum, domain, composite, range or shell.

    An enum has `values`, each with its creation if ALTER TYPE added it. A domain has a `base` type.
    """

    name: Name
    kind: str
    values: dict[str, Creation | None] = field(default_factory=dict)
    base: Type | None = None
    not_null: bool = False
    default: Node | None = None
    constraints: tuple[Constraint, ...] = ()
    created: Creation | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure; of overloaded functions, the last one created. `node` is the body of its CREATE."""

    name: Name
    volatility: str = "volatile"
    language: str = ""
    created: Creation | None = None
    node: Node | None = None


class Catalog:
    """The objects that the files created, by schema and name; `search_path` resolves unqualified names.

    `referrers` are, for each relation, those that read it, inherit from it or reference it, or once did.
    `default_partitions` are, for each partitioned table, its DEFAULT partition, or a former one. `dropped` are the
    relations, indexes and types that a file dropped or renamed. `uncertain_names` are the unqualified names of objects
    that a DO block may have changed.
    `has_casts` is whether a file creates casts, `extensions` are those that files create. A schema is
    `complete` if the files create all of it.
    `uncertain` is the reason why a statement may have changed any object, or empty.
    """

    def __init__(self) -> None:
        self.tables: dict[Name, Table] = {}
        self.referrers: dict[Name, tuple[Name, ...]] = {}
        self.default_partitions: dict[Name, Name] = {}
        self.index_tables: dict[Name, Name] = {}
        self.sequences: dict[Name, Creation] = {}
        self.types: dict[Name, UserType] = {}
        self.functions: dict[Name, Function] = {}
        self.schemas: dict[str, Creation] = {}
        self.dropped: set[Name] = set()
        self.uncertain_names: set[str] = set()
        self.has_casts = False
        self.extensions: set[str] = set()
        self.complete = False
        self.uncertain = ""
        self.search_path: tuple[str, ...] = DEFAULT_PATH

    def copy(self) -> Catalog:
        """Returns an independent copy."""
        copy = Catalog()
        for name, value in vars(self).items():
            setattr(copy, name, value.copy() if isinstance(value, dict | set) else value)
        return copy

    def name_to_create(self, name: Name) -> Name:
        """Returns the name with the schema in which CREATE puts the object."""
        return (name[0] or (self.search_path[0] if self.search_path else "")), name[1]

    def resolve(self, name: Name, known: Container[Name] | None = None) -> Name:
        """Returns a name with the schema of the existing object, or with the schema in which CREATE would put it."""
        if name[0]:
            return name
        names = self.tables if known is None else known
        for schema in ("pg_temp", *self.search_path):
            if (schema, name[1]) in names:
                return schema, name[1]
        return self.name_to_create(name)

    def table(self, name: Name) -> Table | None:
        """Returns the table, view or other relation with columns, or None if it is unknown."""
        return self.tables.get(self.resolve(name))

    def index(self, name: Name) -> Index | None:
        """Returns the index, or None if it is unknown."""
        resolved = self.resolve(name, self.index_tables)
        table = self.tables.get(self.index_tables.get(resolved, ("", "")))
        if table is None:
            return None
        return next((index for index in table.indexes if index.name == resolved), None)

    def type(self, name: str) -> UserType | None:
        """Returns the type for a name of `datatype.Type`, or None if no file creates it."""
        schema, _, last = name.rpartition(".")
        return self.types.get(self.resolve((schema, last), self.types))

    def function(self, name: Name) -> Function | None:
        """Returns the function, or None if no file creates it."""
        return self.functions.get(self.resolve(name, self.functions))

    def children(self, name: Name) -> list[Table]:
        """Returns the partitions of a table and the tables that inherit from it."""
        return [table for table in self.referring(name) if name in table.parents]

    def referring(self, name: Name) -> list[Table]:
        """Returns the relations that may read a relation, inherit from it or reference it, in order of creation."""
        names = dict.fromkeys(self.referrers.get(name, ()))
        return [self.tables[referrer] for referrer in names if referrer in self.tables]

    def touch(self, name: Name) -> Table:
        """Returns the table; adds a partial table if it is unknown, because the statement needs an existing table."""
        resolved = self.resolve(name)
        table = self.tables.get(resolved)
        if table is None:
            table = self.tables[resolved] = Table(resolved, partial=True)
            self.dropped.discard(resolved)
        return table

    def put(self, table: Table) -> None:
        """Stores a new or changed table with its indexes."""
        previous = self.tables.get(table.name) or Table(table.name)
        self.tables[table.name] = table
        self.dropped.discard(table.name)
        for index in _added(previous.indexes, table.indexes):
            self.index_tables[index.name] = table.name
            self.dropped.discard(index.name)
        references = (constraint.references for constraint in _added(previous.constraints, table.constraints))
        named = (*_added(previous.reads, table.reads), *_added(previous.parents, table.parents), *references)
        for name in filter(None, named):
            self.referrers[name] = (*self.referrers.get(name, ()), table.name)
        if table.bound and table.bound.get("is_default"):
            self.default_partitions |= dict.fromkeys(table.parents, table.name)

    def drop(self, name: Name) -> None:
        """Removes a relation with columns, and its indexes."""
        table = self.tables.pop(name, None)
        self.dropped.add(name)
        for index in table.indexes if table else ():
            self.index_tables.pop(index.name, None)

    def drop_index(self, name: Name) -> None:
        """Removes an index."""
        resolved = self.resolve(name, self.index_tables)
        table = self.tables.get(self.index_tables.pop(resolved, ("", "")))
        self.dropped.add(resolved)
        if table is not None:
            kept = tuple(index for index in table.indexes if index.name != resolved)
            self.tables[table.name] = replace(table, indexes=kept)

    def mark_uncertain(self, reason: str) -> None:
        """Records that any object may have been changed: from now on every table is partial."""
        self.uncertain = reason
        for name, table in self.tables.items():
            if not table.partial:
                self.tables[name] = replace(table, partial=True)


def _added(old: tuple[T, ...], new: tuple[T, ...]) -> tuple[T, ...]:
    """Returns what was added at the end, or all if anything else changed."""
    return new[len(old) :] if new[: len(old)] == old else new
