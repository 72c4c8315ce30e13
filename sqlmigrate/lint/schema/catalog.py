"""The schema as far as the files tell it.

What stands in it is immutable; the catalog itself changes from statement to statement and is cheap to copy. What was
never heard of is None, and a table marked `partial` has more columns, constraints and indexes than those listed, or
may have: then that something is not listed says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

Name = tuple[str, str]
DEFAULT_PATH = ("public",)


class Birth(NamedTuple):
    """Where something was made: the number of the file, and of the transaction."""

    file: int
    transaction: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column; what is None is not known. `generated` is "stored", "virtual" or empty."""

    name: str
    type: Type | None = None
    not_null: bool | None = None
    default: Node | None = None
    identity: str = ""
    generated: str = ""
    collation: str = ""
    born: Birth | None = None


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
    actions: str = ""
    no_inherit: bool = False
    deferrable: bool = False
    born: Birth | None = None

    @property
    def proves(self) -> bool:
        """Whether every row satisfies it."""
        return self.valid and self.enforced


@dataclass(frozen=True, slots=True)
class Index:
    """An index; a key that is an expression stands as an empty string in `columns` and as a tree in `expressions`.

    One that belongs to a constraint has its name; `parent` is the index of the partitioned table that it is a part of.
    """

    name: Name
    table: Name
    columns: tuple[str, ...] = ()
    unique: bool = False
    method: str = "btree"
    expressions: tuple[Node, ...] = ()
    predicate: Node | None = None
    include: tuple[str, ...] = ()
    options: tuple[Any, ...] = ()
    constraint: bool = False
    valid: bool = True
    parent: Name | None = None
    born: Birth | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A relation with columns; `kind` is table, partitioned, view, matview or foreign.

    `strategy` and `keys` are those of a partitioned table, `bound` that of a partition. `reads` are the relations
    that a view names and, with a column's name, the columns that it may read of them. `triggers` have their functions.
    """

    name: Name
    kind: str = "table"
    columns: dict[str, Column] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    partial: bool = False
    persistence: str = "p"
    strategy: str = ""
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
    born: Birth | None = None

    def constraint(self, name: str) -> Constraint | None:
        """The constraint of that name."""
        return next((constraint for constraint in self.constraints if constraint.name == name), None)

    @property
    def checks(self) -> list[Constraint]:
        """The CHECK constraints that every row satisfies: valid and enforced."""
        return [constraint for constraint in self.constraints if constraint.kind == "check" and constraint.proves]

    @property
    def primary_key(self) -> Constraint | None:
        """The primary key."""
        return next((constraint for constraint in self.constraints if constraint.kind == "primary"), None)


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that a file made: `kind` is enum, domain, composite, range or shell.

    `values` are an enum's, each with the place where it was added; `base` is a domain's.
    """

    name: Name
    kind: str
    values: dict[str, Birth | None] = field(default_factory=dict)
    base: Type | None = None
    not_null: bool = False
    default: Node | None = None
    constraints: tuple[Constraint, ...] = ()
    born: Birth | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure; of those that share a name, the last one made. `node` is its CREATE."""

    name: Name
    volatility: str = "volatile"
    language: str = ""
    kind: str = "function"
    born: Birth | None = None
    node: Node | None = None


class Catalog:
    """Every object that the files made, by schema and name; names without a schema are resolved by `search_path`.

    `keyed` are the tables that have, or had, foreign keys. `gone` are the relations, indexes and types that a file
    dropped or renamed. `doubtful` are the bare names of what a block may have made or changed, if it came to that;
    `clouded` is why a statement may have changed anything at all, or empty.
    """

    def __init__(self) -> None:
        self.tables: dict[Name, Table] = {}
        self.keyed: dict[Name, None] = {}
        self.index_tables: dict[Name, Name] = {}
        self.sequences: dict[Name, Birth] = {}
        self.types: dict[Name, UserType] = {}
        self.functions: dict[Name, Function] = {}
        self.schemas: dict[str, Birth] = {}
        self.gone: set[Name] = set()
        self.doubtful: set[str] = set()
        self.clouded = ""
        self.search_path: tuple[str, ...] = DEFAULT_PATH

    def copy(self) -> Catalog:
        """A catalog that changes on its own."""
        copy = Catalog()
        copy.tables = self.tables.copy()
        copy.keyed = self.keyed.copy()
        copy.index_tables = self.index_tables.copy()
        copy.sequences = self.sequences.copy()
        copy.types = self.types.copy()
        copy.functions = self.functions.copy()
        copy.schemas = self.schemas.copy()
        copy.gone = self.gone.copy()
        copy.doubtful = self.doubtful.copy()
        copy.clouded = self.clouded
        copy.search_path = self.search_path
        return copy

    def resolve(self, name: Name, known: Iterable[Name] | None = None) -> Name:
        """The name with the schema in which it is found, or in which it would be made."""
        if name[0]:
            return name
        among = self.tables if known is None else known
        for schema in ("pg_temp", *self.search_path):
            if (schema, name[1]) in among:
                return schema, name[1]
        return (self.search_path[0] if self.search_path else ""), name[1]

    def table(self, name: Name) -> Table | None:
        """The table, view or other relation with columns, or None if no file tells of it."""
        return self.tables.get(self.resolve(name))

    def index(self, name: Name) -> Index | None:
        """The index, or None if no file tells of it."""
        resolved = self.resolve(name, self.index_tables)
        table = self.tables.get(self.index_tables.get(resolved, ("", "")))
        if table is None:
            return None
        return next((index for index in table.indexes if index.name == resolved), None)

    def type(self, name: str) -> UserType | None:
        """The type by the name that `datatype.Type` has, or None if no file makes it."""
        schema, _, last = name.rpartition(".")
        return self.types.get(self.resolve((schema, last), self.types))

    def function(self, name: Name) -> Function | None:
        """The function, or None if no file makes it."""
        return self.functions.get(self.resolve(name, self.functions))

    def children(self, name: Name) -> list[Table]:
        """The partitions of a table and the tables that inherit from it."""
        return [table for table in self.tables.values() if name in table.parents]

    def touch(self, name: Name) -> Table:
        """The table as it stands, or a partial one that is put in its place because a statement counts on it."""
        resolved = self.resolve(name)
        table = self.tables.get(resolved)
        if table is None:
            table = self.tables[resolved] = Table(resolved, partial=True)
            self.gone.discard(resolved)
        return table

    def put(self, table: Table) -> None:
        """Puts a table in its place, new or changed; its indexes are found by their names from then on."""
        self.tables[table.name] = table
        if any(constraint.kind == "foreign" for constraint in table.constraints):
            self.keyed[table.name] = None
        self.gone.discard(table.name)
        for index in table.indexes:
            self.index_tables[index.name] = table.name
            self.gone.discard(index.name)

    def drop(self, name: Name) -> None:
        """Takes a relation with columns away, its indexes too."""
        table = self.tables.pop(name, None)
        self.gone.add(name)
        for index in table.indexes if table else ():
            self.index_tables.pop(index.name, None)

    def drop_index(self, name: Name) -> None:
        """Takes an index away."""
        resolved = self.resolve(name, self.index_tables)
        table = self.tables.get(self.index_tables.pop(resolved, ("", "")))
        self.gone.add(resolved)
        if table is not None:
            kept = tuple(index for index in table.indexes if index.name != resolved)
            self.tables[table.name] = replace(table, indexes=kept)

    def cloud(self, why: str) -> None:
        """Everything may be otherwise from here on."""
        self.clouded = why
        for name, table in self.tables.items():
            if not table.partial:
                self.tables[name] = replace(table, partial=True)
