"""The state of a file before a statement: its transaction, its settings, and the statements before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.schema.catalog import DEFAULT_PATH, Creation
from sqlmigrate.model import Location
from sqlmigrate.sql.classify import Sort, sort_of
from sqlmigrate.sql.place import locate
from sqlmigrate.sql.tree import by_identity, constant, qualified, relations_in, strings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from sqlmigrate.lint.schema.catalog import Name, Table
    from sqlmigrate.sql.parser import Node

_DEFAULTS = {"lock_timeout": "5s"}  # sqlmigrate sets it for every segment
_BEGIN = ("TRANS_STMT_BEGIN", "TRANS_STMT_START")
_ROLL_BACK = ("TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE")
_ROWS = ("InsertStmt", "CopyStmt", "SelectStmt", "CommentStmt")


class Statement(NamedTuple):
    """A parsed statement with its location.

    `start` is its offset in the parsed text, in bytes. A statement in a DO block or a function, which may not run at
    all, has `inner`, the line of the file. In an `outline`, names in braces stand for text that is known only at run
    time.
    """

    kind: str
    body: Node
    text: str
    path: str
    line: int
    column: int
    start: int = 0
    inner: str = ""
    outline: bool = False

    @property
    def location(self) -> Location:
        """The location of its first character, with the text of the line."""
        text = self.inner or " " * (self.column - 1) + self.text.partition("\n")[0].rstrip("\r")
        return Location(self.path, self.line, self.column, text)

    def location_of(self, node: Node) -> Location:
        """Returns the location of a node if it has one, or else of the statement."""
        at = node.get("location") or _inner_location(node)
        if self.inner or not at or at <= self.start:
            return self.location
        before = at - self.start
        if not self.text.isascii():
            before = len(self.text.encode()[:before].decode(errors="ignore"))
        return locate(self.path, self.text, before, self.line, self.column)

    @property
    def commands(self) -> tuple[Node, ...]:
        """The subcommands of an ALTER TABLE."""
        return _commands(self.body)

    def named(self, subtype: str) -> Mapping[str, Placed]:
        """Returns the subcommands of a subtype by the name of their column or constraint; of equal names, the last."""
        return _named(self.body).get(subtype, {})

    def mentions(self, name: str) -> int:
        """Returns how many subcommands concern a column or constraint."""
        return _mentions(self.body)[name]


class Placed(NamedTuple):
    """A subcommand of ALTER TABLE, and its place among them."""

    place: int
    command: Node


@by_identity
def _commands(body: Node) -> tuple[Node, ...]:
    return tuple(item["AlterTableCmd"] for item in body.get("cmds", ()))


@by_identity
def _mentions(body: Node) -> Counter[str]:
    return Counter(command.get("name", "") for command in _commands(body))


@by_identity
def _named(body: Node) -> dict[str, dict[str, Placed]]:
    subtypes: dict[str, dict[str, Placed]] = {}
    for place, command in enumerate(_commands(body)):
        name = command.get("name") or command.get("def", {}).get("ColumnDef", {}).get("colname", "")
        subtypes.setdefault(command["subtype"], {})[name] = Placed(place, command)
    return subtypes


class Rows(NamedTuple):
    """What the statements of a file did to the rows of a table.

    `some` is whether the table has rows, or None for "cannot tell". `transaction` is the transaction in which that
    became so, `truncated` whether by TRUNCATE. `nulls` are the columns that are known to contain a NULL.
    """

    some: bool | None
    transaction: int = 0
    truncated: bool = False
    nulls: frozenset[str] = frozenset()


class Stored(NamedTuple):
    """Rows of constants that a file inserted into a table; `is_all` is whether the table has no other rows."""

    rows: tuple[dict[str, tuple[str, object]], ...] = ()
    is_all: bool = False
    transaction: int = -1


@dataclass(slots=True)
class FileState:
    """The state of a file before the current statement.

    Files and transactions have numbers: `file` is the number of this file, `transaction` the number of the current
    transaction in this file. `in_transaction` is whether the current statement runs in a transaction, `own_block`
    whether the file contains the BEGIN. `pending` are the numbers of the files up to this one that will be deployed
    together. `undoes` is the number of the up file that a down file rolls back, or -1. `before` are the statements of
    the current transaction, `earlier` the statements of the file's earlier transactions; of INSERT, COPY, SELECT and
    COMMENT they contain only the first of a transaction. `locked` are the tables in use that the transaction has locked
    ACCESS EXCLUSIVE, `written` the tables of which it wrote many rows, each with the first such statement. `altered`
    are the subcommands of the file's ALTER TABLEs by table. `advisory` is whether the file takes advisory locks.
    `locks` is what `exclusively_locked` found for the current statement. `rows` are the tables that the file filled or
    emptied, `doubtful` those of which that is not certain, `may_not_run` is whether the current statement is in a
    block, `ruled` those with rewrite rules, `values` the rows of constants.
    """

    file: int
    path: str
    down: bool = False
    pending: AbstractSet[int] = frozenset()
    undoes: int = -1
    each_alone: bool = False
    transaction: int = 0
    in_transaction: bool = True
    own_block: bool = False
    before: list[Statement] = field(default_factory=list)
    earlier: list[Statement] = field(default_factory=list)
    locked: dict[Name, Statement] = field(default_factory=dict)
    written: dict[Name, Statement] = field(default_factory=dict)
    altered: dict[Name, set[str]] = field(default_factory=dict)
    advisory: bool = False
    locks: tuple[Statement, list[Name]] | None = None
    rows: dict[Name, Rows] = field(default_factory=dict)
    doubtful: set[Name] = field(default_factory=set)
    may_not_run: bool = False
    ruled: set[Name] = field(default_factory=set)
    values: dict[Name, Stored] = field(default_factory=dict)
    settings: dict[str, str | None] = field(default_factory=dict)
    local_settings: dict[str, str | None] = field(default_factory=dict)
    _kinds: set[str] = field(default_factory=set)
    _kinds_of_file: set[str] = field(default_factory=set)
    _of_object: dict[tuple[str, str], list[Node]] = field(default_factory=dict)
    _alone: bool = False

    @property
    def created(self) -> Creation:
        """The creation of an object that the current statement creates."""
        return Creation(self.file, self.transaction)

    def creates(self, created: Creation | None) -> bool:
        """Returns whether this file, or a file deployed together with it, created an object."""
        return created is not None and (created.file == self.file or created.file in self.pending)

    def hides(self, table: Table) -> bool:
        """Returns whether no application can use the table: it is temporary, or this file created it."""
        return table.persistence == "t" or self.creates(table.created)

    def setting(self, name: str) -> str | None:
        """Returns the value that this file or sqlmigrate gave a setting, or None for the server's value."""
        for settings in (self.local_settings, self.settings, _DEFAULTS):
            if name in settings:
                return settings[name]
        return None

    @property
    def search_path(self) -> tuple[str, ...]:
        """The schemas in which PostgreSQL searches unqualified names."""
        value = self.setting("search_path")
        if value is None:
            return DEFAULT_PATH
        schemas = (part.strip().strip('"') for part in value.split(","))
        return tuple(schema for schema in schemas if schema and schema != "$user")

    def enter(self, statement: Statement) -> Sort:
        """Makes a statement the current one: it may end or start a transaction, or run outside a transaction."""
        sort = _sort(statement)
        alone = (sort is Sort.ALONE or self.each_alone) and not self.own_block
        begins = statement.kind == "TransactionStmt" and statement.body.get("kind") in _BEGIN
        if (begins and not self.own_block) or alone or self._alone:
            self._next_transaction()
        self.own_block = self.own_block or begins
        self._alone = alone and not begins
        self.in_transaction = not (alone and sort is Sort.ALONE)
        return sort

    def leave(self, statement: Statement, sort: Sort) -> None:
        """Records the current statement as executed."""
        if statement.kind == "VariableSetStmt":
            self._set(statement.body)
        elif statement.kind == "SelectStmt":
            self._set_config(statement.body)
        ends = statement.kind == "TransactionStmt" and statement.body.get("kind") in _ROLL_BACK
        if sort is Sort.COMMIT or ends:
            self._next_transaction()
            self.own_block = bool(statement.body.get("chain"))
        elif statement.kind not in _ROWS or statement.kind not in self._kinds:
            self._kinds.add(statement.kind)
            self._kinds_of_file.add(statement.kind)
            self.before.append(statement)
            for name in _objects(statement):
                self._of_object.setdefault((statement.kind, name), []).append(statement.body)

    def ran(self, kind: str) -> bool:
        """Returns whether this transaction has run a statement of that kind."""
        return kind in self._kinds

    def has_run(self, *kinds: str) -> bool:
        """Returns whether this file has run a statement of one of these kinds."""
        return not self._kinds_of_file.isdisjoint(kinds)

    def run_on(self, kind: str, name: str) -> Sequence[Node]:
        """Returns the statements of a kind that this file has run on objects of an unqualified name.

        Of a RENAME, that is the new name, of ADD VALUE the value, of CREATE TABLE AS what it reads; only the kinds of
        `_objects` have names.
        """
        return self._of_object.get((kind, name), ())

    def _next_transaction(self) -> None:
        self.transaction += 1
        self.earlier += self.before
        self.before = []
        self._kinds.clear()
        self.locked, self.written = {}, {}
        self.local_settings = {}

    def _set(self, body: Node) -> None:
        name = body.get("name", "").lower()
        settings = self.local_settings if body.get("is_local") else self.settings
        match body.get("kind"):
            case "VAR_SET_VALUE":
                value = ", ".join(_setting_value(argument) for argument in body.get("args", ()))
                self._put(settings, name, value)
            case "VAR_SET_DEFAULT" | "VAR_RESET":
                self._put(settings, name, _DEFAULTS.get(name))
            case "VAR_RESET_ALL":
                self.settings, self.local_settings = {}, {}
            case _:
                pass

    def _put(self, settings: dict[str, str | None], name: str, value: str | None) -> None:
        if settings is self.settings:
            self.local_settings.pop(name, None)
        settings[name] = value

    def _set_config(self, body: Node) -> None:
        for target in body.get("targetList", ()):
            call = target.get("ResTarget", {}).get("val", {}).get("FuncCall", {})
            arguments = [constant(argument) for argument in call.get("args", ())]
            if strings(call.get("funcname", ()))[-1:] == ["set_config"] and len(arguments) == 3:
                settings = self.local_settings if arguments[2] else self.settings
                self._put(settings, str(arguments[0]), None if arguments[1] is None else str(arguments[1]))


def _objects(statement: Statement) -> Iterator[str]:
    body = statement.body
    match statement.kind:
        case "RenameStmt":
            yield body.get("newname", "")
        case "CreateTrigStmt":
            yield body.get("trigname", "")
        case "AlterEnumStmt":
            yield body.get("newVal", "")
        case "AlterFunctionStmt":
            yield qualified(body["func"]["objname"])[1]
        case "CreateFunctionStmt":
            yield qualified(body["funcname"])[1]
        case "DropStmt":
            functions = (item["ObjectWithArgs"] for item in body["objects"] if "ObjectWithArgs" in item)
            yield from (qualified(function["objname"])[1] for function in functions)
        case "UpdateStmt":
            yield body["relation"]["relname"]
        case "CreateTableAsStmt":
            yield from {name for _, name in relations_in(body["query"])}


def _inner_location(node: Node) -> int:
    """A subcommand of ALTER TABLE has no location itself; its definition has."""
    definition = node.get("def", {})
    return next((body.get("location", 0) for body in definition.values() if isinstance(body, dict)), 0)


def _sort(statement: Statement) -> Sort:
    """Returns what `sort_of` returns, and calls it only if the kind does not determine the sort: it scans the text."""
    match statement.kind:
        case "InsertStmt" | "CreateStmt" | "CommentStmt" | "UpdateStmt" | "DeleteStmt" | "ViewStmt":
            return Sort.ORDINARY
        case "AlterTableStmt":
            definitions = (command.get("def", {}).get("PartitionCmd", {}) for command in statement.commands)
            return Sort.ALONE if any(command.get("concurrent") for command in definitions) else Sort.ORDINARY
    return sort_of(statement.text)[0]


def _setting_value(argument: Node) -> str:
    value = constant(argument)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)
