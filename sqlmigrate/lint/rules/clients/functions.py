"""Breaks clients: functions that are dropped or whose signature changes, and SECURITY DEFINER functions."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.signatures import Parameter, inputs, result, signature_type, types_of
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.rules.clients.origin import created_by, in_use
from sqlmigrate.lint.safer import objects
from sqlmigrate.lint.schema.interpret.changes import ROUTINES, dropped_names
from sqlmigrate.sql.tree import bodies, options, qualified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Function, Name
    from sqlmigrate.sql.parser import Node

_F = "create function f(a int) returns int language sql as 'select 1';"
# The implicit casts of pg_cast: a value is cast to any later type of its row.
_IMPLICIT = (
    ("int2", "int4", "int8", "numeric", "float4", "float8"),
    ("date", "timestamp", "timestamptz"),
    ("bpchar", "varchar", "text"),
)
_UNUSED = (
    "first release an application that no longer calls {0}, "
    "or create {0} again in the same transaction, with a compatible signature"
)
# A file has few functions of one name; more are not compared, so that the time grows as the file does.
_OVERLOADS = 50
# Languages whose functions do not resolve names by search_path.
_COMPILED = ("c", "internal")


def _drop_function(case: Case) -> Iterator[Hit]:
    kind = case.node["removeType"]
    if kind not in ROUTINES:
        return
    for item, name in zip(case.node["objects"], dropped_names(case.node), strict=True):
        types, function = _argument_types(item["ObjectWithArgs"]), case.catalog.function(name)
        node = function.node if function else None
        if node is not None and types not in (None, types_of(inputs(node))):
            function = node = None
        is_called = node is None or not result(node)[0].endswith("trigger")
        if is_called and in_use(case, function) and not _is_unused(case, name, types):
            yield Hit(
                f"calls of {name[1]} fail",
                _UNUSED.format(name[1]),
                created_by(case, function),
                unless=_is_replaced(case, name, types, node),
            )


def _argument_types(item: Node) -> list[str] | None:
    """Returns the argument types that DROP FUNCTION lists, or None if it gives the name alone."""
    if item.get("args_unspecified"):
        return None
    return [signature_type(argument["TypeName"]) for argument in item.get("objargs", ())]


def _is_unused(case: Case, name: Name, types: list[str] | None) -> bool:
    """Whether this file has dropped the same function before, and IF EXISTS skips it, or has created it."""
    if types in _dropped_here(case, name):
        return bool(case.node.get("missing_ok"))
    return any(
        not body.get("replace") and qualified(body["funcname"]) == name and types_of(inputs(body)) == types
        for body in case.state.run_on("CreateFunctionStmt", name[1])[:_OVERLOADS]
    )


def _dropped_here(case: Case, name: Name) -> list[list[str] | None]:
    """Returns the argument types of the functions of a name that this file has dropped so far."""
    drops = (
        _argument_types(item["ObjectWithArgs"])
        for body in case.state.run_on("DropStmt", name[1])[:_OVERLOADS]
        for item in body["objects"][:_OVERLOADS]
        if "ObjectWithArgs" in item and qualified(item["ObjectWithArgs"]["objname"]) == name
    )
    return list(islice(drops, _OVERLOADS))


def _is_replaced(case: Case, name: Name, types: list[str] | None, old: Node | None) -> Callable[[Catalog], bool]:
    """Whether a function of the name accepts the same calls and has the same result at the end, as far as known."""
    resolved, created = case.catalog.resolve(name, case.catalog.functions), case.state.created
    if types is None and old is not None:
        types = types_of(inputs(old))

    def is_replaced(catalog: Catalog) -> bool:
        new = catalog.functions.get(resolved)
        nodes = _created_here(case, name)
        if new is not None and new.node is not None and new.created == created:
            nodes.append(new.node)
        return any(
            (old is None or _has_result_of(case, node, old)) and (types is None or _accepts(inputs(node), types))
            for node in nodes
        )

    return is_replaced


def _created_here(case: Case, name: Name) -> list[Node]:
    """Returns the functions of a name that this file creates and does not drop; overloads have one name."""
    dropped = _dropped_here(case, name)
    return [
        body
        for body in case.state.run_on("CreateFunctionStmt", name[1])[:_OVERLOADS]
        if qualified(body["funcname"]) == name and types_of(inputs(body)) not in dropped and None not in dropped
    ]


def _has_result_of(case: Case, new: Node, old: Node) -> bool:
    """Whether the results have the same type, which this file may have renamed."""
    before, after = result(old), result(new)
    renames = case.state.run_on("RenameStmt", after[0])[:_OVERLOADS]
    is_renamed = any(rename.get("relation", {}).get("relname") == before[0] for rename in renames)
    return before == after or (is_renamed and before[1:] == after[1:])


def _accepts(parameters: list[Parameter], types: list[str]) -> bool:
    """Whether a call with arguments of these types resolves to the function."""
    matching = len(types) <= len(parameters) and all(map(_is_castable, types, types_of(parameters)))
    return matching and all(parameter.optional for parameter in parameters[len(types) :])


def _is_castable(source: str, target: str) -> bool:
    """Whether an implicit cast from one type to the other exists."""
    for types in _IMPLICIT:
        if source in types and target in types:
            return types.index(source) <= types.index(target)
    return source == target


DROP_FUNCTION = Rule(
    name="drop-function",
    level=Level.WARNING,
    on=("DropStmt",),
    stake="Every query and function that calls it fails.",
    safe="drop function f(int);\n"
    "create function f(a int, b int default 0) returns int language sql as 'select 1'; -- in the same transaction",
    check=_drop_function,
    examples=(
        bad("drop function f(int);"),
        bad("drop function if exists s.f;"),
        bad("drop procedure p(int);"),
        bad("drop function f(int);", _F),
        bad("drop function f(int); create function f(a text) returns int language sql as 'select 1';"),
        bad("drop function f; create function f(a int, b int) returns int language sql as 'select 1';", _F),
        bad("drop function f; create function f(a int) returns text language sql as 'select null';", _F),
        bad("create function f(a text) returns int language sql as 'select 1'; drop function f(int);"),
        good("drop function f(int); create function f(a int) returns int language sql as 'select 1';"),
        good("drop function f(int); create function f(a bigint) returns int language sql as 'select 1';"),
        good("drop function f; create function f(a int, b int = 0) returns int language sql as 'select 1';", _F),
        good(_F + "drop function f(int);"),
        down("drop function f(int);", _F),
        down("drop function f(int);", "select 1;", _F, bad=True),
        good("drop function g();", "create function g() returns trigger language plpgsql as 'begin end';"),
        good("drop table t;"),
    ),
)


def _existing(case: Case) -> Iterator[tuple[Function, Node]]:
    """Yields the existing function of the name and schema that CREATE FUNCTION uses, with the body of its CREATE."""
    function = case.catalog.functions.get(case.catalog.name_to_create(qualified(case.node["funcname"])))
    if function is not None and function.node is not None:
        yield function, function.node


def _signature(case: Case) -> Iterator[Hit]:
    for function, node in _existing(case) if case.node.get("replace") else ():
        for reason in _differences(node, case.node):
            yield Hit(
                f"CREATE OR REPLACE of {function.name[1]} fails: {reason}",
                partial(objects.dropped_first, case, _signature_of(case, node)),
                created_by(case, function),
            )


def _signature_of(case: Case, existing: Node) -> Node:
    """Returns the existing function, named as the statement names the new one."""
    return objects.signature(case.node["funcname"], bodies(existing, "parameters"))


def _differences(old: Node, new: Node) -> Iterator[str]:
    """Yields why CREATE OR REPLACE fails; nothing for functions with other parameter types, which are two functions."""
    if types_of(inputs(old)) != types_of(inputs(new)):
        return
    pairs = list(zip(inputs(old), inputs(new), strict=True))
    if result(old) != result(new):
        yield "cannot change return type of existing function"
    if any(before.name not in ("", after.name) for before, after in pairs):
        yield "cannot change name of input parameter"
    if any(before.optional and not after.optional for before, after in pairs):
        yield "cannot remove parameter defaults from existing function"


SIGNATURE = Rule(
    name="replaced-function-differs",
    level=Level.ERROR,
    on=("CreateFunctionStmt",),
    stake="CREATE OR REPLACE FUNCTION fails if it changes the return type or a parameter's name, or removes a default.",
    safe="create function f2(a int) returns text language sql as 'select null'; -- in addition to f",
    check=_signature,
    examples=(
        bad("create or replace function f(a int) returns text language sql as 'select null';", _F),
        bad("create or replace function f(b int) returns int language sql as 'select 1';", _F),
        bad("create or replace function f(a int) returns setof int language sql as 'select 1';", _F),
        bad(
            "create or replace function f(a int) returns int language sql as 'select 1';",
            "create function f(a int default 1) returns int language sql as 'select 1';",
        ),
        bad(_F + "create or replace function f(a int) returns text language sql as 'select null';"),
        good("create or replace function f(a int) returns int language sql as 'select 2';", _F),
        good("create or replace function f(a int = 1) returns integer language sql as 'select 2';", _F),
        good("create or replace function f(a text) returns text language sql as 'select 2';", _F),
        good("drop function f; create or replace function f(b int) returns int language sql as 'select 1';", _F),
        good("create or replace function f(a int) returns text language sql as 'select 1';"),
    ),
)


def _ambiguous(case: Case) -> Iterator[Hit]:
    for function, node in _existing(case):
        name, types = function.name, types_of(inputs(node))
        shorter, longer = sorted((inputs(node), inputs(case.node)), key=len)
        same_start = len(shorter) != len(longer) and types_of(longer[: len(shorter)]) == types_of(shorter)
        if same_start and all(parameter.optional for parameter in longer[len(shorter) :]):
            yield Hit(
                f"a call of {name[1]} with {len(shorter)} arguments matches two functions: it fails as not unique",
                partial(objects.without_overload, case, _signature_of(case, node)),
                created_by(case, function),
                unless=partial(_is_dropped, case, name, types),
            )


def _is_dropped(case: Case, name: Name, types: list[str], _: Catalog) -> bool:
    """Whether the file drops the existing function after it creates the new one."""
    objects = (item for body in case.state.run_on("DropStmt", name[1]) for item in body["objects"])
    items = (item["ObjectWithArgs"] for item in objects if "ObjectWithArgs" in item)
    return any(qualified(item["objname"])[1] == name[1] and _argument_types(item) == types for item in items)


AMBIGUOUS = Rule(
    name="ambiguous-function",
    level=Level.WARNING,
    on=("CreateFunctionStmt",),
    stake="PostgreSQL cannot choose between the two functions, so every such call fails: function … is not unique.",
    safe="drop function f(int);\ncreate function f(a int, b int default 0) returns int language sql as 'select 1';",
    check=_ambiguous,
    examples=(
        bad("create function f(a int, b int default 0) returns int language sql as 'select 1';", _F),
        bad(_F + "create function f(a int, b int default 0) returns int language sql as 'select 1';"),
        good("drop function f(int); create function f(a int, b int = 0) returns int language sql as 'select 1';", _F),
        good("create function f(a int, b int = 0) returns int language sql as 'select 1'; drop function f(int);", _F),
        good("create function f(a int, b int) returns int language sql as 'select 1';", _F),
        good("create function f(a text, b int default 0) returns int language sql as 'select 1';", _F),
        good("create or replace function f(a int default 0) returns int language sql as 'select 1';", _F),
        good("create function g(a int, b int default 0) returns int language sql as 'select 1';", _F),
    ),
)


def _security_definer(case: Case) -> Iterator[Hit]:
    clauses = case.node.get("options") or case.node.get("actions") or ()
    values = options(clauses)
    needs_no_path = "sql_body" in case.node or str(values.get("language")).lower() in _COMPILED
    if not values.get("security") or needs_no_path or any(map(_sets_path, clauses)):
        return
    name = qualified(case.node["funcname"] if "funcname" in case.node else case.node["func"]["objname"])
    yield Hit(
        f"the caller's search_path decides which objects {name[1]} uses with its owner's privileges",
        partial(objects.with_search_path, case, *_altered_function(case)),
        unless=lambda _: _path_is_set(case, name),
    )


def _altered_function(case: Case) -> tuple[Node, str]:
    """Returns the function that the statement creates or alters, and its kind."""
    if "func" in case.node:
        return case.node["func"], case.node.get("objtype", "OBJECT_FUNCTION")
    kind = "OBJECT_PROCEDURE" if case.node.get("is_procedure") else "OBJECT_FUNCTION"
    return objects.signature(case.node["funcname"], bodies(case.node, "parameters")), kind


def _sets_path(clause: Node) -> bool:
    setting = clause["DefElem"].get("arg", {}).get("VariableSetStmt", {})
    return setting.get("name", "").lower() == "search_path" and setting["kind"] in ("VAR_SET_VALUE", "VAR_SET_CURRENT")


def _path_is_set(case: Case, name: Name) -> bool:
    """Whether an ALTER FUNCTION of this file sets the function's search_path."""
    return any(_sets_path(item) for body in case.state.run_on("AlterFunctionStmt", name[1]) for item in body["actions"])


SECURITY_DEFINER = Rule(
    name="security-definer-search-path",
    level=Level.WARNING,
    on=("CreateFunctionStmt", "AlterFunctionStmt"),
    stake="It resolves names by its caller's search_path: a caller who creates objects there runs code as the owner.",
    safe="create function f() returns int language sql security definer set search_path = pg_catalog, pg_temp\n"
    "as 'select 1';",
    check=_security_definer,
    examples=(
        bad("create function f() returns int language sql security definer as 'select 1';"),
        bad("create function f() returns int language sql security definer set work_mem = '1MB' as 'select 1';"),
        bad("alter function f() security definer;"),
        bad("create function f() returns void language sql security definer as 'set search_path = a';"),
        good("create function f() returns int language sql security definer set search_path = '' as 'select 1';"),
        good("create function f() returns int language sql set search_path from current security definer as '';"),
        good("create function f() returns int language sql security invoker as 'select 1';"),
        good(_F),
        good("create procedure p() language sql security definer as ''; alter procedure p() set search_path = '';"),
        good("alter function f() security definer set search_path = pg_catalog, pg_temp;"),
        good("create function f() returns int language c security definer as 'lib', 'f';"),
        good("create function f() returns int language sql security definer begin atomic select 1; end;"),
    ),
)

RULES = (DROP_FUNCTION, SIGNATURE, AMBIGUOUS, SECURITY_DEFINER)
