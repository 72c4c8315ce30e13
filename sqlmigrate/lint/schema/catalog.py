"""The part of the schema that the files create.

No object is ever changed (it is not frozen, as a frozen dataclass takes twice as long to create); the catalog is
mutable and cheap to copy. An unknown object or value is None. A `partial`
table may have further columns, constraints and indexes: an unlisted column may exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress, islice
from operator import is_not
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlmigrate.lint.schema import limits
from sqlmigrate.lint.schema.datatype import BUILT_IN
from sqlmigrate.lint.schema.journal import Members, Named, Objects, Recorded
from sqlmigrate.lint.schema.packing import Packed, Unread
from sqlmigrate.lint.schema.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

T = TypeVar("T")
Name = tuple[str, str]
DEFAULT_PATH = ("public",)


class Creation(NamedTuple):
    """The file and the transaction that created an object, by their numbers."""

    file: int
    transaction: int


@dataclass(slots=True)
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


@dataclass(slots=True)
class Constraint:
    """A constraint of a table or a domain; `kind` is check, not null, primary, unique, foreign or exclude.

    `on_delete` is the action of a foreign key as in pg_constraint.confdeltype.
    """

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    valid: bool = True
    enforced: bool = True
    expression: Node | None = None
    references: Name | None = None
    referenced: tuple[str, ...] = ()
    no_inherit: bool = False
    on_delete: str = ""
    created: Creation | None = None

    @property
    def proves(self) -> bool:
        """Whether every row is known to satisfy the constraint."""
        return self.valid and self.enforced


@dataclass(slots=True)
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


@dataclass(slots=True)
class Table:
    """A relation with columns; `kind` is table, partitioned, view, matview or foreign.

    A partitioned table has `keys`, a partition has `bound`. A view has `reads`, the relations that it
    names, and `read_columns`, the names of the columns that it may read. `triggers` maps triggers to their functions.
    `validated` are the constraints that a file validates and no file adds: each may be a CHECK of any columns.
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
    validated: tuple[str, ...] = ()
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


_NONE = Table(("", ""))


@dataclass(slots=True)
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


@dataclass(slots=True)
class Function:
    """A function or procedure; of overloaded functions, the last one created. `node` is the body of its CREATE."""

    name: Name
    volatility: str = "volatile"
    language: str = ""
    created: Creation | None = None
    node: Node | None = None


class Catalog(Recorded):
    """The objects that the files created, by schema and name; `search_path` resolves unqualified names.

    `referrers` are, for each relation, those that read it, inherit from it or reference it, or once did. `users` are
    the tables that may have a column of a type, or a trigger with a function, and the domains over a type, by the
    unqualified name of the type or function, or once did. `default_partitions` are, for each partitioned table, its
    DEFAULT partition, or a former one. `changed` are the tables that the current file created or changed, `whole` those
    that may not be partial. `dropped` are the relations, indexes and types that a file dropped or renamed,
    `dropped_constraints` and `dropped_schemas` the constraints and schemas. `owners` are the table and the column that
    own a sequence, `owned` the sequences that a table owns, or once did. `uncertain_names` are the unqualified names of
    objects that a DO block may have changed. `has_casts` is whether a file creates casts, `extensions` are those that
    files create. A schema is `complete` if the files create all of it. `uncertain` is why a statement may have changed
    any object, or empty.
    `journal` records the changes since the last up file before its down file. A large one keeps objects as bytes.
    """

    def __init__(self, *, is_large: bool = False) -> None:
        large: type[Packed[Any]] = Unread if is_large else Packed
        super().__init__()
        self.tables: Packed[Table] = large(self.journal)
        self.referrers = Objects[Name, tuple[Name, ...]](self.journal)
        self.default_partitions = Objects[Name, Name](self.journal)
        self.index_tables = Objects[Name, Name](self.journal)
        self.sequences = Named[Creation](self.journal)
        self.owners = Objects[Name, tuple[Name, str]](self.journal)
        self.owned = Objects[Name, tuple[Name, ...]](self.journal)
        self.types: Packed[UserType] = large(self.journal)
        self.functions: Packed[Function] = large(self.journal)
        self.schemas = Objects[str, Creation](self.journal)
        self.dropped_schemas = Members[str](self.journal)
        self.changed: set[Name] = set()
        self.users = Objects[str, tuple[Name, ...]](self.journal)
        self.whole = Members[Name](self.journal)
        self.dropped = Members[Name](self.journal)
        self.dropped_constraints = Members[Name](self.journal)
        self.uncertain_names = Members[str](self.journal)
        self.has_casts = False
        self.extensions = Members[str](self.journal)
        self.complete = False
        self.uncertain = ""
        self.search_path: tuple[str, ...] = DEFAULT_PATH

    def name_to_create(self, name: Name) -> Name:
        """Returns the name with the schema in which CREATE puts the object."""
        schemas = (name[0],) if name[0] else self.search_path
        return next((schema for schema in schemas if schema not in self.dropped_schemas), name[0]), name[1]

    def resolve(self, name: Name, known: Container[Name] | None = None) -> Name:
        """Returns a name with the schema of the existing object, or with the schema in which CREATE would put it."""
        if name[0]:
            return name
        names = self.tables if known is None else known
        for schema in ("pg_temp", *self.search_path):
            if (found := (schema, name[1])) in names:
                return found
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
        previous = self.tables.get(table.name) or _NONE
        table = self.tables[table.name] = _limited(table)
        self.changed.add(table.name)
        self.dropped.discard(table.name)
        if not table.partial and table.name not in self.whole:
            self.whole.add(table.name)
        if table.columns is not previous.columns or table.triggers is not previous.triggers:
            self._note_users(previous, table)
        for index in _added(previous.indexes, table.indexes):
            self.index_tables[index.name] = table.name
            self.dropped.discard(index.name)
            self.dropped_constraints.discard(index.name)
        references = (constraint.references for constraint in _added(previous.constraints, table.constraints))
        named = (*_added(previous.reads, table.reads), *_added(previous.parents, table.parents), *references)
        for name in filter(None, named):
            self.referrers[name] = (*self.referrers.get(name, ()), table.name)
        if table.bound and table.bound.get("is_default"):
            self.default_partitions |= dict.fromkeys(table.parents, table.name)

    def put_type(self, type_: UserType) -> None:
        """Stores a new or changed type."""
        previous = self.types.get(type_.name)
        self.types[type_.name] = type_
        if type_.base is not None and (previous is None or previous.base is not type_.base):
            self._note_user(type_.base.name, type_.name)

    def drop(self, name: Name) -> None:
        """Removes a relation with columns, its indexes, and the sequences that it owns."""
        table = self.tables.pop(name, None)
        self.dropped.add(name)
        self.drop_owned(name)
        for index in table.indexes if table else ():
            self.index_tables.pop(index.name, None)
            self.dropped.add(index.name)

    def owned_by(self, table: Name) -> list[tuple[Name, str]]:
        """Returns the sequences that a table owns, each with its column."""
        owners = [(sequence, self.owners.get(sequence, (None, ""))) for sequence in self.owned.get(table, ())]
        return [(sequence, column) for sequence, (owner, column) in owners if owner == table]

    def set_owner(self, sequence: Name, table: Name, column: str) -> None:
        """Makes a column of a table the owner of a sequence."""
        if self.owners.get(sequence, (None, ""))[0] != table:
            self.owned[table] = (*self.owned.get(table, ()), sequence)
        self.owners[sequence] = table, column

    def drop_owned(self, table: Name, column: str | None = None) -> None:
        """Removes the sequences that a table owns, or one of its columns."""
        for sequence, by in self.owned_by(table):
            if column in (None, by):
                self.drop_sequence(sequence)

    def drop_sequence(self, name: Name) -> None:
        """Removes a sequence."""
        self.sequences.pop(name, None)
        self.owners.pop(name, None)
        self.dropped.add(name)

    def drop_index(self, name: Name) -> None:
        """Removes an index, and those of the partitions that belong to it."""
        resolved = self.resolve(name, self.index_tables)
        table = self.tables.get(self.index_tables.pop(resolved, ("", "")))
        self.dropped.add(resolved)
        if table is not None:
            kept = tuple(index for index in table.indexes if index.name != resolved)
            self.tables[table.name] = replace(table, indexes=kept)
            for child in self.children(table.name) if table.kind == "partitioned" else ():
                for index in child.indexes:
                    if index.parent == resolved:
                        self.drop_index(index.name)

    def mark_uncertain(self, reason: str) -> None:
        """Records that any object may have been changed: from now on every table is partial."""
        self.uncertain = reason
        for name in list(self.whole):
            self.whole.discard(name)
            table = self.tables.get(name)
            if table is not None and not table.partial:
                self.tables[name] = replace(table, partial=True)

    def changed_tables(self) -> list[Table]:
        """Returns the tables that the current file created or changed and that still exist, in order of creation."""
        return [self.tables[name] for name in self.tables.in_order(self.changed)]

    def using(self, name: str) -> list[Table]:
        """Returns the tables that may use a type or function of this unqualified name, in order of creation."""
        return [self.tables[user] for user in self.tables.in_order(self.users.get(name, ()))]

    def _note_users(self, previous: Table, table: Table) -> None:
        for column in _new(previous.columns, table.columns):
            if column.type is not None:
                self._note_user(column.type.name, table.name)
        if table.triggers is not previous.triggers:
            for function in (function for key, function in table.triggers.items() if key not in previous.triggers):
                self._note_user(function[1], table.name)

    def _note_user(self, used: str, user: Name) -> None:
        if used not in BUILT_IN:
            name = used.rpartition(".")[2]
            self.users[name] = (*self.users.get(name, ()), user)


def _limited(table: Table) -> Table:
    """Returns the table, or one with as many columns, constraints and so on as are kept; that is partial."""
    most = max(len(table.constraints), len(table.indexes), len(table.triggers), len(table.policies))
    if len(table.columns) <= limits.COLUMNS and most <= limits.PARTS:
        return table
    return replace(
        table,
        columns=dict(islice(table.columns.items(), limits.COLUMNS)),
        constraints=table.constraints[: limits.PARTS],
        indexes=table.indexes[: limits.PARTS],
        triggers=dict(islice(table.triggers.items(), limits.PARTS)),
        policies=table.policies[: limits.PARTS],
        partial=True,
    )


def _new(old: dict[str, T], new: dict[str, T]) -> Iterator[T]:
    """Yields the new and changed values; written for speed, as a table may have a thousand columns."""
    return compress(new.values(), map(is_not, new.values(), map(old.get, new)))


def _added(old: tuple[T, ...], new: tuple[T, ...]) -> tuple[T, ...]:
    """Returns what was added at the end, or all if anything else changed."""
    return new[len(old) :] if new[: len(old)] == old else new
