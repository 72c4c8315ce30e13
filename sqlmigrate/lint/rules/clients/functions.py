"""Breaks clients: functions that are dropped, or no longer called as they were; and those that run as their owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.facts.usage import ROUTINES, decider, is_in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.schema.datatype import type_of
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.sql.tree import is_on, qualified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlmigrate.lint.schema.catalog import Catalog, Function, Name
    from sqlmigrate.sql.parser import Node

_F = "create function f(a int) returns int language sql as 'select 1';"
_INPUTS = ("FUNC_PARAM_DEFAULT", "FUNC_PARAM_IN", "FUNC_PARAM_INOUT", "FUNC_PARAM_VARIADIC")
_OUTPUTS = ("FUNC_PARAM_OUT", "FUNC_PARAM_INOUT", "FUNC_PARAM_TABLE")
# As pg_cast has them: a value becomes one of the types behind its own.
_IMPLICIT = (
    ("int2", "int4", "int8", "numeric", "float4", "float8"),
    ("date", "timestamp", "timestamptz"),
    ("bpchar", "varchar", "text"),
)
# They look no names up.
_COMPILED = ("c", "internal")


class Parameter(NamedTuple):
    """A parameter that a call gives."""

    name: str
    type: str
    optional: bool


def _inputs(function: Node) -> list[Parameter]:
    return [
        Parameter(one.get("name", ""), _spelled(one["argType"]), "defexpr" in one)
        for one in (item["FunctionParameter"] for item in function.get("parameters", ()))
        if one["mode"] in _INPUTS
    ]


def _spelled(type_node: Node) -> str:
    """A type as functions are told apart by it: without modifiers, and without the schema that may be left out."""
    type_ = type_of(type_node)
    return type_.name.rpartition(".")[2] + ("[]" if type_.array else "")


def _result(function: Node) -> tuple[str, bool, tuple[str, ...]]:
    """What a function returns: its type, whether many, and where it is a row of several columns their names."""
    returned = function.get("returnType", {})
    parameters = [item["FunctionParameter"] for item in function.get("parameters", ())]
    columns = tuple(one.get("name", "") for one in parameters if one["mode"] in _OUTPUTS)
    return _spelled(returned), bool(returned.get("setof")), columns if len(columns) > 1 else ()


def _types(parameters: Sequence[Parameter]) -> list[str]:
    return [one.type for one in parameters]


def _drop_function(case: Case) -> Iterator[Hit]:
    kind = case.node["removeType"]
    if kind not in ROUTINES:
        return
    for item, name in zip(case.node["objects"], dropped_names(case.node), strict=True):
        wanted = _wanted(item["ObjectWithArgs"])
        known = case.catalog.function(name)
        if known is not None and known.node is not None and wanted not in (None, _types(_inputs(known.node))):
            known = None
        called = known is None or known.node is None or not _result(known.node)[0].endswith("trigger")
        if called and is_in_use(case, known.born if known else None):
            yield Hit(
                f"programs that call {name[1]} fail",
                "drop function …;\ncreate function …;  -- in the same transaction, to be called in the same way",
                decider(case, known.born if known else None),
                unless=_made_again(case, name, wanted, known),
            )


def _wanted(item: Node) -> list[str] | None:
    """The types by which DROP FUNCTION names a function; None where the name alone does."""
    if item.get("args_unspecified"):
        return None
    return [_spelled(argument["TypeName"]) for argument in item.get("objargs", ())]


def _made_again(case: Case, name: Name, wanted: list[str] | None, old: Function | None) -> Callable[[Catalog], bool]:
    """Whether at the end a function of the name takes the same calls and gives the same, as far as it is known."""
    resolved, born = case.catalog.resolve(name, case.catalog.functions), case.state.born
    types = wanted if wanted is not None or old is None or old.node is None else _types(_inputs(old.node))

    def made_again(catalog: Catalog) -> bool:
        new = catalog.functions.get(resolved)
        if new is None or new.node is None or new.born != born:
            return False
        same_result = old is None or old.node is None or _result(old.node) == _result(new.node)
        return same_result and (types is None or _takes(_inputs(new.node), types))

    return made_again


def _takes(parameters: list[Parameter], types: list[str]) -> bool:
    """Whether a call with arguments of these types still finds the function."""
    fit = len(types) <= len(parameters) and all(map(_is_taken, types, _types(parameters)))
    return fit and all(one.optional for one in parameters[len(types) :])


def _is_taken(given: str, wanted: str) -> bool:
    """Whether a value is turned into the wanted type without a cast being written."""
    for types in _IMPLICIT:
        if given in types and wanted in types:
            return types.index(given) <= types.index(wanted)
    return given == wanted


DROP_FUNCTION = Rule(
    name="drop-function",
    level=Level.WARNING,
    on=("DropStmt",),
    stake="Every program and function that calls it fails.",
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


def _replaced(case: Case) -> Function | None:
    """The function of the same name that stands there where one is made."""
    known = case.catalog.function(qualified(case.node["funcname"]))
    return known if known is not None and known.node is not None else None


def _signature(case: Case) -> Iterator[Hit]:
    known = _replaced(case)
    if known is None or known.node is None or not case.node.get("replace"):
        return
    old, new = _inputs(known.node), _inputs(case.node)
    if _types(old) != _types(new):
        return
    named = any(one.name and one.name != other.name for one, other in zip(old, new, strict=True))
    required = any(one.optional and not other.optional for one, other in zip(old, new, strict=True))
    reasons = {
        "returns something else": _result(known.node) != _result(case.node),
        "has a parameter of another name": named,
        "has a parameter without its default": required,
    }
    for reason in (reason for reason, holds in reasons.items() if holds):
        yield Hit(
            f"CREATE OR REPLACE fails: {known.name[1]} {reason}",
            f"drop function {known.name[1]}(…);\ncreate function …;  -- or make one of another name beside it",
            decider(case, known.born),
        )


SIGNATURE = Rule(
    name="replaced-function-differs",
    level=Level.ERROR,
    on=("CreateFunctionStmt",),
    stake="CREATE OR REPLACE FUNCTION can't change what it returns, a parameter's name, or take a default away.",
    safe="create function f2(a int) returns text language sql as 'select null'; -- beside the old one",
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
    known = _replaced(case)
    if known is None or known.node is None:
        return
    shorter, longer = sorted((_inputs(known.node), _inputs(case.node)), key=len)
    same = len(shorter) != len(longer) and _types(longer[: len(shorter)]) == _types(shorter)
    if same and all(one.optional for one in longer[len(shorter) :]):
        yield Hit(
            f"a call of {known.name[1]} with {len(shorter)} arguments fits both functions of the name, and fails",
            f"drop function {known.name[1]}({', '.join(_types(_inputs(known.node)))});  -- before, in this transaction",
            decider(case, known.born),
            unless=lambda _: _is_dropped(case, known.name, _types(_inputs(known.node or {}))),
        )


def _is_dropped(case: Case, name: Name, types: list[str]) -> bool:
    """Whether the file drops the other function after it has made this one."""
    drops = (one.body for one in case.state.statements() if one.kind == "DropStmt")
    items = (item["ObjectWithArgs"] for body in drops for item in body["objects"] if "ObjectWithArgs" in item)
    return any(qualified(item["objname"])[1] == name[1] and _wanted(item) == types for item in items)


AMBIGUOUS = Rule(
    name="ambiguous-function",
    level=Level.WARNING,
    on=("CreateFunctionStmt",),
    stake="Another function of the same name takes the same call: PostgreSQL says that it is not unique, and refuses.",
    safe="drop function f(int);\ncreate function f(a int, b int default 0) returns int language sql as 'select 1';",
    check=_ambiguous,
    examples=(
        bad("create function f(a int, b int default 0) returns int language sql as 'select 1';", _F),
        bad("create or replace function f(a int, b int = 0, c int = 0) returns int language sql as 'select 1';", _F),
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
    said = case.node.get("options") or case.node.get("actions") or ()
    elements = [item["DefElem"] for item in said]
    definer = any(one["defname"] == "security" and is_on(_boolean(one)) for one in elements)
    safe = "sql_body" in case.node or any(_sets_path(one) or _is_compiled(one) for one in elements)
    if not definer or safe:
        return
    name = qualified(case.node["funcname"] if "funcname" in case.node else case.node["func"]["objname"])
    yield Hit(
        f"who calls {name[1]} chooses, by search_path, what it runs as its owner",
        f"alter function {name[1]}(…) set search_path = pg_catalog, pg_temp;",
        unless=lambda _: _path_is_set(case, name),
    )


def _boolean(element: Node) -> bool:
    return bool(element.get("arg", {}).get("Boolean", {}).get("boolval"))


def _is_compiled(element: Node) -> bool:
    return element["defname"] == "language" and element["arg"]["String"]["sval"].lower() in _COMPILED


def _sets_path(element: Node) -> bool:
    setting = element.get("arg", {}).get("VariableSetStmt", {})
    return setting.get("name", "").lower() == "search_path" and setting["kind"] in ("VAR_SET_VALUE", "VAR_SET_CURRENT")


def _path_is_set(case: Case, name: Name) -> bool:
    """Whether an ALTER FUNCTION of this file sets it."""
    altered = (one.body for one in case.state.statements() if one.kind == "AlterFunctionStmt")
    return any(
        qualified(body["func"]["objname"])[1] == name[1] and _sets_path(item["DefElem"])
        for body in altered
        for item in body["actions"]
    )


SECURITY_DEFINER = Rule(
    name="security-definer-search-path",
    level=Level.WARNING,
    on=("CreateFunctionStmt", "AlterFunctionStmt"),
    stake="It looks names up in its caller's search_path: whoever puts a table there first runs code as the owner.",
    safe="create function f() returns int language sql security definer set search_path = pg_catalog, pg_temp\n"
    "as 'select 1';",
    check=_security_definer,
    examples=(
        bad("create function f() returns int language sql security definer as 'select 1';"),
        bad("create or replace procedure p() language plpgsql security definer as 'begin end';"),
        bad("create function f() returns int language sql security definer set work_mem = '1MB' as 'select 1';"),
        bad("alter function f() security definer;"),
        bad("create function f() returns int language sql security definer as 'set search_path = a';"),
        good("create function f() returns int language sql security definer set search_path = '' as 'select 1';"),
        good("create function f() returns int language sql set search_path from current security definer as '';"),
        good("create function f() returns int language sql security invoker as 'select 1';"),
        good(_F),
        good(
            "create function f() returns int language sql security definer as 'select 1';"
            "alter function f() set search_path = pg_catalog;"
        ),
        good("alter function f() security definer set search_path = pg_catalog, pg_temp;"),
        good("create function f() returns int language c security definer as 'lib', 'f';"),
        good("create function f() returns int language sql security definer begin atomic select 1; end;"),
    ),
)

RULES = (DROP_FUNCTION, SIGNATURE, AMBIGUOUS, SECURITY_DEFINER)
