"""Correctness: syntax errors in the bodies of functions and DO blocks, and truncated identifiers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.interpret.names import NAME_BYTES
from sqlmigrate.sql.parser import SyntaxFault, TooDeep, check_plpgsql, parse
from sqlmigrate.sql.tokens import tokens
from sqlmigrate.sql.tree import options

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r'at or near "(.+)"', re.DOTALL)
_LONG_WORD = re.compile(r'[^\W\d][\w$]{15,}|"[^"]{16,}"')
# Messages that depend on types and columns, which only a server knows; libpg_query takes an unknown type for a record.
_NEEDS_THE_SERVER = re.compile(
    r'"[^"]*\.[^"]*" is not a known variable|type|VARIADIC|does not exist|Not implemented'
    r"|multiple-item INTO list|is not a scalar variable"
)
_F = "create function f() returns int language plpgsql as $$ "


def _check_body(case: Case) -> Iterator[Hit]:
    definition = options(case.node.get("options" if case.kind == "CreateFunctionStmt" else "args", ()))
    language = str(definition.get("language", "plpgsql")).lower()
    body = definition.get("as", "")
    text = str(body[0] if isinstance(body, list) else body)
    fault = _fault(case, text, language)
    if fault is None or isinstance(fault, TooDeep) or _NEEDS_THE_SERVER.search(fault.message):
        return
    at = _place(case.statement.text, text, fault)
    yield Hit(fault.message, node={"location": case.statement.start + at} if at else None)


def _fault(case: Case, body: str, language: str) -> SyntaxFault | None:
    try:
        if language == "plpgsql":
            check_plpgsql(case.statement.text, {case.kind: case.node})
        elif language == "sql" and body:
            parse(body)
    except SyntaxFault as fault:
        return fault
    return None


def _place(statement: str, body: str, fault: SyntaxFault) -> int:
    """Returns the byte offset of the error, or 0. PL/pgSQL reports only a line before the error and a word."""
    start = statement.find(body)
    if start < 0 or not body:
        return 0
    at = fault.at if fault.at is not None else _word_after(body, fault)
    return len(statement[: start + at].encode())


def _word_after(body: str, fault: SyntaxFault) -> int:
    line = sum(len(text) for text in body.splitlines(keepends=True)[: max(fault.near - 1, 0)])
    word = _TOKEN.search(fault.message)
    place = re.search(rf"(?<![\w]){re.escape(word[1])}(?!\w)", body[line:], re.IGNORECASE) if word else None
    indent = len(body[line:]) - len(body[line:].lstrip())
    return line + (place.start() if place else indent)


BODY = Rule(
    name="function-body-syntax",
    level=Level.ERROR,
    on=("CreateFunctionStmt", "DoStmt"),
    stake="The body has a syntax error: CREATE FUNCTION or DO fails.",
    safe="create function f() returns int language plpgsql as $$ begin return 1; end $$;",
    check=_check_body,
    examples=(
        bad(_F + "begin retrn 1; end $$;"),
        bad(_F + "begin update t sett a = 1; return 1; end $$;"),
        bad(_F + "begin x := 1; return 1; end $$;"),
        bad(_F + "begin raise exception 'a % %', 1; end $$;"),
        bad("do $$ begin selec 1; end $$;"),
        bad("create function f() returns int language sql as 'selec 1';"),
        good(_F + "begin return 1; end $$;"),
        good(_F + "declare r t%rowtype; begin select * into r from t; r.a := 1; return r.a; end $$;"),
        good("create function f() returns trigger language plpgsql as $$ begin new.a := tg_op; return new; end $$;"),
        good(_F + "begin execute 'selec 1'; return 1; end $$;"),
        good("create function f(variadic a int[]) returns int language plpgsql as $$ begin return a[1]; end $$;"),
        good("create function f(int) returns int language sql as 'select $1 + 1';"),
        good("create function f() returns int language sql return 1;"),
        good("create function f() returns int language c as 'lib', 'symbol';"),
        good("do language plpgsql 'begin perform 1; end';"),
    ),
)


def _check_length(case: Case) -> Iterator[Hit]:
    text = case.statement.text
    if text.isascii() and '"' not in text and max(map(len, text.split())) <= NAME_BYTES:
        return
    if not any(len(word.encode()) > NAME_BYTES for word in _LONG_WORD.findall(text)):
        return
    for token in tokens(text[:100_000]):
        name = token[1:-1].replace('""', '"') if token[:1] == '"' else token
        is_name = token[:1] == '"' or token[:1].isalpha() or token[:1] == "_"
        if is_name and "'" not in token and len(name.encode()) > NAME_BYTES:
            cut = name.encode()[:NAME_BYTES].decode(errors="ignore")
            yield Hit(f"identifier {name} will be truncated to {cut}: it is longer than {NAME_BYTES} bytes")


_LONG = "a_name_that_is_longer_than_the_sixty_three_bytes_that_postgresql_keeps"
_FITS = _LONG[:63]

CUT = Rule(
    name="identifier-cut",
    level=Level.WARNING,
    on=(
        *("CreateStmt", "AlterTableStmt", "IndexStmt", "RenameStmt", "ViewStmt", "CreateTableAsStmt"),
        *("CreateFunctionStmt", "CreateTrigStmt", "CreatePolicyStmt", "CreateSeqStmt", "CreateEnumStmt"),
        *("CreateDomainStmt", "CompositeTypeStmt", "CreateSchemaStmt", "CreateRoleStmt", "CreateStatsStmt"),
    ),
    stake="PostgreSQL truncates an identifier to 63 bytes. Two long names can become the same name.",
    safe="create index concurrently t_a_idx on t (a);",
    check=_check_length,
    examples=(
        bad(f"create table {_LONG} (a int);"),
        bad(f'create table t ("{_LONG}" int);'),
        bad(f"create index concurrently {_LONG} on t (a);"),
        bad(f"alter table t rename to {_LONG};"),
        bad('create table "ééééééééééééééééééééééééééééééééé" (a int);'),
        good(f"create table {_FITS} (a int);"),
        good(f'create table "{_FITS}" (a int);'),
        good(f"create table t (a text default '{_LONG}');"),
        good(f"create table t (a int); -- {_LONG}"),
        good(f"comment on table t is '{_LONG}';"),
        good(f"create function f() returns text language sql as $$ select '{_LONG}' $$;"),
        good('create table "éééééééééééééééééééééééééééééé" (a int);'),
    ),
)

RULES = (BODY, CUT)
