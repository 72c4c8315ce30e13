"""The linter: takes files, returns findings."""

from __future__ import annotations

import os
import re
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from sqlmigrate.errors import ScriptError
from sqlmigrate.files import source
from sqlmigrate.files.listing import misnamed
from sqlmigrate.lint.causes import Causes
from sqlmigrate.lint.facts.holding import record_locks
from sqlmigrate.lint.facts.row_changes import forget_rows, record_rows
from sqlmigrate.lint.finding import Finding, Level, Safer
from sqlmigrate.lint.ignore import Covering, Ignore, ignores_in, ignores_within, unused
from sqlmigrate.lint.reading import Routines, Unit, called, inner_statements, units
from sqlmigrate.lint.replay.verdict import judged
from sqlmigrate.lint.rule import END, Case, Hit, Rule
from sqlmigrate.lint.rules import REMOVED, RULES
from sqlmigrate.lint.safer.objects import still_needed
from sqlmigrate.lint.safer.statements import safer_of
from sqlmigrate.lint.schema.interpret import apply, apply_command, changes_schema, names_in
from sqlmigrate.lint.schema.interpret.changes import tables_dropped
from sqlmigrate.lint.schema.state import FileState, Statement
from sqlmigrate.lint.snapshot import Keeper, Points
from sqlmigrate.lint.timeline import Moment, shares, takes_back, timelines
from sqlmigrate.model import Location
from sqlmigrate.sql.directive import faults
from sqlmigrate.sql.foreign import way_back
from sqlmigrate.sql.place import locate
from sqlmigrate.sql.tree import relation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlmigrate.lint.replay.observation import Observation
    from sqlmigrate.lint.replay.server import Replay
    from sqlmigrate.lint.schema.catalog import Catalog
    from sqlmigrate.sql.item import Item
    from sqlmigrate.sql.parser import Node

_EACH_ALONE = re.compile(r"^[ \t]*--[ \t]*sqlmigrate:.*\btransaction=off\b", re.MULTILINE | re.IGNORECASE)
_NOWHERE = ("", "")
# The findings, and the changes of the schema to store, by the path of the file behind them.
Result = tuple[list[Finding], dict[str, bytes]]
# Linting fewer files takes no longer than reading the cache.
_MANY = 50
# The numbers of the up files are multiples of it, so that they do not depend on which down files are linted.
_PER_VERSION = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the linter.

    `levels` overrides the level of a rule; None switches the rule off. The preset "safety" omits the rules of level
    notice, which are about style. `naming` maps "table", "column", "index" and "constraint" to a regular expression
    that names must match. `texts` replaces the contents of the files with these paths. With `replay` the migrations
    run on an embedded server, whose results override those of the rules. At most `processes` processes share many
    files; a program with threads must leave it at one. With `remembers` the findings in many files are stored in
    the user's cache. `pending` are migrations that will be deployed together: no application uses what one of them
    creates. `complete` says that the migrations of a directory create the whole schema.
    """

    preset: str = "safety"
    levels: Mapping[str, Level | None] = field(default_factory=dict)
    postgres: int = 18
    naming: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    replay: bool = False
    processes: int = 1
    pending: Collection[str] = ()
    remembers: bool = False
    complete: bool = False


def lint(paths: Iterable[str], earlier: Sequence[str] = (), options: Options | None = None) -> list[Finding]:
    """Returns the findings in the files, in the order of the files and of their lines.

    Args:
        paths: the files to lint.
        earlier: directories of migrations; for a migration outside them, its own directory counts.
        options: see `Options`.

    Raises:
        ConfigurationError: postgast is not installed.
    """
    order = {path: number for number, path in enumerate(paths)}
    chosen = options or Options()
    if len(earlier) > 1:  # the files of one directory do not show what those of another create
        chosen = replace(chosen, complete=False)
    runs = list(timelines(order, earlier))
    many = sum(map(len, runs)) >= _MANY
    remembers = chosen.remembers and many and not chosen.replay and not chosen.texts
    findings = _remembered(runs, chosen) if remembers else _shared(runs, Points(), chosen)[0]
    return sorted(findings, key=lambda finding: (order[finding.location.path], finding.location.line or 0))


def _remembered(runs: Sequence[list[Moment]], options: Options) -> list[Finding]:
    from sqlmigrate.lint.memory import Memory  # only many files need it

    rules = (options.preset, sorted(options.levels.items()), options.postgres, sorted(options.naming.items()))
    memory = Memory(runs, repr((*rules, sorted(options.pending), options.complete)), divides=not options.pending)
    while rest := memory.rest():
        memory.add(*_shared(rest, memory.points, options))
    memory.store()
    return memory.findings()


def _shared(runs: Sequence[list[Moment]], points: Points, options: Options) -> Result:
    parts = shares(runs, 1 if options.replay else options.processes)
    return _together(parts, points, options) if len(parts) > 1 else _lint(parts[0], points, options)


def _together(parts: Sequence[list[list[Moment]]], points: Points, options: Options) -> Result:
    """Lints the parts in parallel, the first part in this process."""
    from concurrent.futures import ProcessPoolExecutor  # only many files need it
    from multiprocessing import get_context

    with ProcessPoolExecutor(len(parts) - 1, get_context("fork")) as others:
        each = points.shared(parts)
        futures = [others.submit(_lint, part, some, options) for part, some in zip(parts[1:], each[1:], strict=True)]
        results = [_lint(parts[0], each[0], options), *(future.result() for future in futures)]
    changes = {path: kept for _, some in results for path, kept in some.items()}
    return [finding for findings, _ in results for finding in findings], changes


def _lint(runs: Iterable[list[Moment]], points: Points, options: Options) -> Result:
    selection, keeper = _Selection(options), Keeper(points)
    try:
        return _findings(selection, keeper, runs), keeper.kept
    finally:
        selection.close()


def _findings(selection: _Selection, keeper: Keeper, runs: Iterable[list[Moment]]) -> list[Finding]:
    findings: list[Finding] = []
    for moments in runs:
        deployed = list[str]()
        catalog, ups = keeper.start(moments[0].path, len(moments))
        catalog.complete = selection.complete and moments[0].known
        number = ups * _PER_VERSION
        up, up_number, pending = None, 0, set[int]()
        for moment, after in zip_longest(moments, moments[1:]):
            keeper.before(moment.path, catalog)
            number += 1 if moment.down else _PER_VERSION - number % _PER_VERSION
            state = FileState(number, moment.path, moment.down)
            if moment.path in selection.pending:
                pending.add(number)
                state.pending = pending
            if up is not None and takes_back(moment, up):
                state.undoes = up_number
            if not moment.down:
                catalog.journal.start(records=after is not None and takes_back(after, moment))
            with catalog.taken_back() if moment.down else nullcontext():
                findings += _FileLinter(moment, state, catalog, selection).findings(deployed)
            if not moment.down:
                deployed.append(moment.path)
                up, up_number = moment, number
        keeper.after(moments[-1].path, catalog)
    return findings


class _Selection:
    """The enabled rules, by the kind of statement that they check."""

    def __init__(self, options: Options) -> None:
        self.settings = (options.postgres, options.naming)
        self.pending = frozenset(options.pending)
        self.complete = options.complete
        self._texts = options.texts
        self._server: Replay | None = None
        if options.replay:
            from sqlmigrate.lint.replay.server import Replay  # it imports psycopg

            self._server = Replay()
        self.levels = {rule.name: options.levels.get(rule.name, rule.level) for rule in RULES}
        self.by_kind: dict[str, list[Rule]] = {}
        self.on = set()
        for rule in RULES:
            if self._is_on(rule, options):
                self.on.add(rule.name)
                for kind in rule.on:
                    self.by_kind.setdefault(kind, []).append(rule)

    def observed(self, moment: Moment, deployed: Sequence[str]) -> list[Observation]:
        """Returns what the embedded server observed in a migration; nothing without `replay`."""
        if self._server is None or moment.path in self._texts or not moment.linted or not moment.known:
            return []
        return self._server.observe(moment.path, deployed)

    def close(self) -> None:
        """Disconnects from the embedded server."""
        if self._server is not None:
            self._server.close()

    def text(self, path: str) -> Iterable[str]:
        """Returns the contents of a file, in chunks."""
        return [self._texts[path]] if path in self._texts else source.texts(path)

    def _is_on(self, rule: Rule, options: Options) -> bool:
        level = self.levels[rule.name]
        styled = options.preset == "safety" and level is Level.NOTICE and rule.name not in options.levels
        return level is not None and not styled and rule.since <= options.postgres <= rule.until


class _FileLinter:
    """Lints one file: checks each statement, then applies it to the catalog."""

    def __init__(self, moment: Moment, state: FileState, catalog: Catalog, selection: _Selection) -> None:
        self._moment = moment
        self._state = state
        self._catalog = catalog
        self._selection = selection
        self._rules = selection.by_kind if moment.linted else {}
        self._findings: dict[tuple[int, Finding], None] = {}
        self._unless: dict[Finding, Callable[[Catalog], bool]] = {}
        self._ignores: list[tuple[int, Ignore]] = []
        self._causes = Causes()
        self._number = 0
        self._starts: list[tuple[int, int]] = []
        self._last: Statement | None = None
        self._has_begun = False  # the first statement was read, except BEGIN
        self._routines = Routines()

    def findings(self, deployed: Sequence[str] = ()) -> list[Finding]:
        self._catalog.search_path, self._catalog.changed = self._state.search_path, set()
        if self._moment.twin:
            message = f"{os.path.basename(self._moment.twin)} has the same version"
            self._report("duplicate-version", Location(self._moment.path, 1, 1), message, "sqlmigrate renumber")
        if self._moment.stray:
            problem = misnamed(self._moment.path)
            self._report(problem.code, Location(self._moment.path, 1, 1), problem.message, problem.hint)
        try:
            for unit in units(
                self._moment.path, self._selection.text(self._moment.path), schema_only=not self._moment.linted
            ):
                self._take(unit)
        except ScriptError as error:
            self._catalog.mark_uncertain("a file cannot be read to its end")
            self._report("syntax", error.location or Location(self._moment.path), error.message, error.hint)
        last = self._last or Statement("", {}, "", self._moment.path, 1, 1)
        self._look(END, last.body, last, _NOWHERE)
        if observations := self._selection.observed(self._moment, deployed):
            new = {table.name[1] for table in self._catalog.changed_tables() if self._state.creates(table.created)}
            observed = [observation.without(new) for observation in observations]
            self._findings = dict.fromkeys(judged(list(self._findings), observed, self._starts, self._selection.levels))
        return self._reported() if self._moment.linted else []

    def _take(self, unit: Unit) -> None:
        self._number += 1
        self._starts.append((unit.item.line, unit.item.column))
        if unit.before is not None:
            self._read_comments(unit.before)
        if self._moment.linted and unit.before is not unit.item:
            self._look_for_way_back(unit.before)
        if self._moment.linted:
            self._look_for_way_back(unit.item)
        if "sqlmigrate:" in unit.item.text and unit.item is not unit.before:
            self._ignores += [(self._number, ignore) for ignore in ignores_within(self._moment.path, unit.item)]
        if unit.fault is not None:
            self._catalog.mark_uncertain("a statement cannot be parsed")
            item = unit.item
            location = locate(self._moment.path, item.text, unit.fault.at or 0, item.line, item.column)
            self._report("syntax", location, unit.fault.message, unit.safer)
            self._has_begun = self._has_begun or not unit.safer
        elif unit.statement is not None:
            self._run(unit.statement)
            self._has_begun = self._has_begun or unit.statement.kind != "TransactionStmt"

    def _look_for_way_back(self, item: Item | None) -> None:
        if item is not None and "--" in item.text and (problem := way_back(self._moment.path, item)):
            self._report(problem.code, problem.location or Location(self._moment.path), problem.message, problem.hint)

    def _run(self, statement: Statement) -> None:
        state, self._last = self._state, statement
        sort = state.enter(statement)
        if statement.kind in self._rules or changes_schema(statement.kind):
            self._step(statement)
        for inner, hidden in self._blocks(statement):
            for inner_statement in inner:
                self._step(inner_statement)
                self._catalog.uncertain_names |= names_in(inner_statement.kind, inner_statement.body)
            if hidden:
                self._catalog.mark_uncertain("a block runs SQL that it builds")
                forget_rows(self._state)
        if statement.kind == "TransactionStmt" and "ROLLBACK" in statement.body.get("kind", ""):
            for undone in state.before:
                self._catalog.uncertain_names |= names_in(undone.kind, undone.body)
        state.leave(statement, sort)
        if statement.kind in ("VariableSetStmt", "SelectStmt", "TransactionStmt"):
            self._catalog.search_path = state.search_path

    def _blocks(self, statement: Statement) -> Iterator[tuple[list[Statement], bool]]:
        """Yields the statements in a DO block, or in the functions of this file that a statement calls."""
        match statement.kind:
            case "DoStmt":
                yield inner_statements(statement)
            case "CreateFunctionStmt":
                self._routines.add(statement)
            case "SelectStmt" | "CallStmt":
                yield from (called(statement, routine) for routine in self._routines.called_by(statement))

    def _step(self, statement: Statement) -> None:
        body, created = statement.body, self._state.created
        name = self._subject(body)
        self._look(statement.kind, body, statement, name)
        if self._moment.linted:
            record_locks(self._state, statement, self._catalog)
            record_rows(self._state, statement, self._catalog)
        if statement.kind == "AlterTableStmt":
            self._state.altered.setdefault(name, set()).update(command["subtype"] for command in statement.commands)
        else:
            apply(self._catalog, statement.kind, body, created)
            return
        for command in statement.commands:
            self._look(command["subtype"], command, statement, name)
            apply_command(self._catalog, body, command, created)
            self._state.locks = None  # the schema is another one now

    def _subject(self, body: Node) -> tuple[str, str]:
        node = body.get("relation")
        return self._catalog.resolve(relation(node)) if isinstance(node, dict) and "relname" in node else _NOWHERE

    def _look(self, kind: str, node: Node, statement: Statement, name: tuple[str, str]) -> None:
        rules = self._rules.get(kind)
        if not rules:
            return
        case = Case(kind, node, statement, name, self._catalog, self._state, *self._selection.settings)
        for rule in rules:
            for hit in rule.check(case):
                self._report_hit(rule, case, hit)

    def _report_hit(self, rule: Rule, case: Case, hit: Hit) -> None:
        level = self._selection.levels[rule.name] if hit.certain else Level.INFO
        message = hit.message if hit.certain else f"cannot tell: {hit.message}"
        location = case.statement.location_of(hit.node or case.node)
        finding = Finding(rule.name, level or rule.level, location, message, safer_of(hit, case), hit.by)
        self._add(finding, hit.unless)
        self._causes.record(self._number, finding, case)

    def _add(self, finding: Finding, unless: Callable[[Catalog], bool] | None = None) -> None:
        count = len(self._findings)
        self._findings.setdefault((self._number, finding))
        if unless is not None and len(self._findings) > count:
            self._unless[finding] = unless

    def _report(self, rule: str, location: Location, message: str, advice: str = "") -> None:
        level = self._selection.levels[rule]
        if level is not None:
            self._add(Finding(rule, level, location, message, Safer(advice=advice)))

    def _read_comments(self, space: Item) -> None:
        if "--" not in space.text and "/*" not in space.text:
            return
        head = self._number == 1
        if head:
            self._state.each_alone = _EACH_ALONE.search(space.text) is not None
        self._read_directives(space)
        for ignore in ignores_in(self._moment.path, space, head=head):
            self._ignores.append((self._number - ignore.trailing, ignore))

    def _read_directives(self, space: Item) -> None:
        for fault in faults(space.text, is_late=self._has_begun):
            location = locate(self._moment.path, space.text, fault.at, space.line, space.column)
            self._report(fault.code, location, fault.message, fault.hint)

    def _needed(self, finding: Finding) -> Finding:
        needed = still_needed(finding.safer, self._catalog, self._state)
        return finding if needed is finding.safer else replace(finding, safer=needed)

    def _reported(self) -> list[Finding]:
        """Returns the findings to show, and a finding for each comment that suppresses nothing."""
        covering, unless = Covering(self._ignores), self._unless
        found = [pair for pair in self._findings if pair[1] not in unless or not unless[pair[1]](self._catalog)]
        used = {at for number, finding in found for at in covering.of(number, finding.rule)}
        if dropped := tables_dropped(self._state.before, self._catalog):
            found = [pair for pair in found if not self._causes.is_moot(pair, dropped, self._state.transaction)]
        findings = [self._needed(finding) for finding in self._causes.shown(found, covering)]
        level = self._selection.levels["unused-ignore"]
        for at, (_, ignore) in enumerate(self._ignores):
            is_exempt = ignore.from_squawk or ignore.rule in REMOVED or self._is_off(ignore.rule)
            if level is not None and at not in used and not is_exempt:
                findings.append(
                    Finding("unused-ignore", level, ignore.location, unused(ignore, self._selection.levels))
                )
        return findings

    def _is_off(self, rule: str) -> bool:
        return rule in self._selection.levels and rule not in self._selection.on
