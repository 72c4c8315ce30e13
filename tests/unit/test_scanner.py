from __future__ import annotations

import re
from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sqlmigrate.errors import ScriptError
from sqlmigrate.model import Location
from sqlmigrate.sql.item import Item, Kind
from sqlmigrate.sql.scanner import scan
from sqlmigrate.sql.tokens import copies_from_stdin, tokens

# What decides where a statement ends, cut as finely as it can be told apart.
_ATOMS = (
    "select", "create function f() ", "begin", "atomic", "case", "end", "copy t from stdin", "E", "e'", "U&'", "'",
    "''",
    '"', "$", "$$", "$a$", "$é$", "$1", "a$", "--", "-", "/*", "*/", "/", "*", ";", ";\n", "(", ")", "\\", "\\.",
    "\\.\n",
    "\n", "\r\n", "\r", "\t", " ", "1", "é", "x", "set standard_conforming_strings = off;", "\\echo x\n",
    "\\echo x ", "\\set x 'a;b'\n", "\\set x 1\n", "\\q\n", "\\g\n", "\\\\", ":x", ":'x'", ':"x"', ":{?x}", ":", "::",
    ":=", ":DBNAME", "[", "]", "reset all;", "begin;", "commit;", "set local standard_conforming_strings = off;",
)  # fmt: skip
_SQL = st.lists(st.sampled_from(_ATOMS), max_size=30).map("".join) | st.text(max_size=60)


def _statements(text: str) -> list[str]:
    return [item.text for item in scan("f.sql", [text]) if item.kind is Kind.STATEMENT]


def _kinds(text: str) -> list[Kind]:
    return [item.kind for item in scan("f.sql", [text])]


def _outcome(chunks: list[str]) -> tuple[list[Item], tuple[object, ...] | None]:
    """The items, those of DATA merged, and the refusal, if there is one."""
    items, refusal = [], None
    try:
        for item in scan("f.sql", chunks):
            items.append(item)  # noqa: PERF402  # what came before a refusal counts too
    except ScriptError as error:
        place = error.location or Location("nowhere")
        refusal = (error.message, place.line, place.column)
    merged: list[Item] = []
    for kind, group in groupby(items, key=lambda item: item.kind):
        same = list(group)
        if kind in (Kind.DATA, Kind.REST):
            merged.append(same[0]._replace(text="".join(item.text for item in same)))
        else:
            merged += same
    return merged, refusal


@given(_SQL, st.lists(st.integers(0, 5), min_size=1, max_size=20))
@example("select 1;\n}", [1])
@example("$:{?x}$", [4])
@example(":::'x'reset all;", [2])
@example(r"select E'a''\'; x';", [16, 1])
@example("select E'a'\n'b\\'; c';", [17, 1])
@example("select E'a' --\n'b\\'; c';", [5])
@example("copy t from stdin;\n\\.\r", [1])
@example("copy t from stdin;\n1\n\\.\n", [18])
def test_items_join_to_the_text_for_any_chunks(text: str, sizes: list[int]) -> None:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(text[at : at + size])
        at += size
    chunks.append(text[at:])
    whole, refusal = _outcome([text])
    assert _outcome(chunks) == (whole, refusal)
    assert _outcome(list(text)) == (whole, refusal)
    joined = "".join(item.source for item in whole)
    assert text.startswith(joined)
    assert refusal is not None or joined == text


@given(_SQL)
def test_an_item_has_its_location(text: str) -> None:
    at = 0
    for item in _outcome([text])[0]:
        before = text[:at]
        assert (item.line, item.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
        at += len(item.source)


@given(_SQL)
def test_white_space_contains_no_statement(text: str) -> None:
    for kind, part, *_ in _outcome([text])[0]:
        if kind is Kind.SPACE:
            assert re.sub(r"--[^\n\r]*|/\*.*\*/", "", part, flags=re.DOTALL).strip(" \t\n\r\f\v;") == ""
        if kind is Kind.STATEMENT:
            assert part[0] not in " \t\r\n;\\"


ONE_STATEMENT = {
    "doubled quote": "select 'it''s; ok';",
    "escape string": r"select E'it\'s; ok', e'\\';",
    "escape string with both": r"select E'a''\'; b';",
    "escape string that goes on": "select E'a'\n  'b\\'; c';",
    "escape string that goes on behind comments": "select E'a' -- one\n-- two;\n\t'b\\'; c';",
    "ordinary string that goes on": "select 'a\\'\n';';",
    "string on the same line does not go on": r"select E'a' '\';",
    "word that ends in e": r"select nameE'\';",
    "unicode string": r"select U&'a;''\0041;';",
    "unicode name": 'select U&"a;b";',
    "bits": "select B'1;', X'f;', N';';",
    "quoted name": 'select ";", "a"";";',
    "line comment": "select 1 -- a; 'b\n, 2;",
    "line comment ended by a carriage return": "select 1 -- a;\r, 2;",
    "nested comment": "select /* a; /* b; */ c; */ 1;",
    "comment behind an operator": "select 2 */* ; */ 3;",
    "division and subtraction": "select 4/2-1;",
    "dollar quote": "select $$;$$;",
    "dollar tag with digits": "select $a1$ ; $a$ ; $$ ; $a1$;",
    "dollar tag that is not ASCII": "select $größe$ ; $größe$;",
    "nested dollar quotes": "do $a$ begin execute $b$ select ';'; $b$; end $a$;",
    "name with a dollar": "select a$b$c;",
    "name with a dollar before a quote": "select a$, 'b;', a$'$;';",
    "parameter before a dollar quote": "select $1$$;$$;",
    "parameters": "prepare p as select $1, $2;",
    "lone dollar": "select 1 $ 2;",
    "percent": "select '%s', 5 % 2;",
    "non-ASCII name": "select größe from \u00a0löschung;",
    "rule": "create rule r as on insert to t do also (insert into a values (1); delete from b;);",
    "too many closing parentheses": "select 1));",
    "BEGIN ATOMIC": "create function f() returns int begin atomic select 1; select case when true then 2 end; end;",
    "BEGIN ATOMIC in a procedure": "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN\nATOMIC select 1; END;",
    "BEGIN ATOMIC behind comments": "create /* x */ function f() begin -- y\n atomic select 1; end;",
    "BEGIN ATOMIC with strings": r"create function f() begin atomic select E'\'; end', 'end;', nE'\', $$;$$; end;",
    "BEGIN ATOMIC with CASE in parentheses": "create function f() begin atomic select (case 1 when 1 then 2 end); end;",
    "old-style function": "create function f() returns int language sql as $$ begin; $$;",
    "BEGIN that is no body": "create function begin() returns int as 'select 1';",
    "no semicolon": "select 1",
    "no semicolon, one character": "x",
    "many tokens": "select (" + "1+'a'," * 2000 + "$$;$$);",
    "ruler behind an escape string": "select E'a' " + "-" * 200 + "\n;",
}


@pytest.mark.parametrize("text", ONE_STATEMENT.values(), ids=ONE_STATEMENT)
def test_the_text_is_one_statement(text: str) -> None:
    assert _statements(text) == [text]
    assert _statements(f"{text};select 2;")[-1] == "select 2;"


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ;; /* a; */ ; -- b;", []),
        ("-- only a comment", []),
        ("/* only /* comments */ */\n-- at all\n", []),
        ("select 1;select 2", ["select 1;", "select 2"]),
        ("select 1; -- a\n/* b */ select 2;\n", ["select 1;", "select 2;"]),
        ("begin; update t set a = 1; end;", ["begin;", "update t set a = 1;", "end;"]),
        ("create table begin_atomic (a int); select 1;", ["create table begin_atomic (a int);", "select 1;"]),
        (r"select '\'; select 2;", [r"select '\';", "select 2;"]),
        (r"select '\',E'\''; select 2;", [r"select '\',E'\'';", "select 2;"]),
        ("select $a$ ; $a$; select $1;", ["select $a$ ; $a$;", "select $1;"]),
        ("create function f() begin atomic select 1; end; select 2;",
            ["create function f() begin atomic select 1; end;", "select 2;"]),
    ],
)  # fmt: skip
def test_statements_end_at_their_semicolons(text: str, statements: list[str]) -> None:
    assert _statements(text) == statements


@pytest.mark.parametrize("value", ["off", "'off'", "false", "0", "OFF"])
@pytest.mark.parametrize("setting", ["set standard_conforming_strings =", "SET SESSION standard_conforming_strings TO"])
def test_backslashes_escape_if_standard_conforming_strings_is_off(setting: str, value: str) -> None:
    off, on = f"{setting} {value};", "set standard_conforming_strings=on;"
    text = rf"{off} select '\';', E'\';', e'', ''; {on} select '\'; select 1;"
    assert _statements(text) == [off, r"select '\';', E'\';', e'', '';", on, r"select '\';", "select 1;"]


@pytest.mark.parametrize(
    ("text", "message", "line", "column", "shown"),
    [
        ("select 1;\n select 'a\nb", "unterminated quoted string", 2, 9, " select 'a"),
        ("select E'a\\'", "unterminated quoted string", 1, 8, "select E'a\\'"),
        ("create function f() as E'a", "unterminated quoted string", 1, 24, "create function f() as E'a"),
        ('select\n"a', "unterminated quoted identifier", 2, 1, '"a'),
        ("do $a$ $$ $b$", "unterminated dollar-quoted string $a$", 1, 4, "do $a$ $$ $b$"),
        ("select 1 /* /* */", "unterminated /* comment", 1, 10, "select 1 /* /* */"),
        ("\n\n  /* a", "unterminated /* comment", 3, 3, "  /* a"),
        ("select 1;\nselect 2,:x\n", "psql variable :x is not set", 2, 10, "select 2,:x"),
        ("é; 'ü", "unterminated quoted string", 1, 4, "é; 'ü"),
        (
            "copy t from stdin; select 1;\n\\.\n",
            "extra text after COPY … FROM stdin on the same line", 1, 19, "copy t from stdin; select 1;",
        ),
        *(
            (f"select 1;\ncopy t\nfrom stdin;{rest}",
                "unterminated COPY data: the file may be truncated", 2, 1, "copy t")
            for rest in ("", " ", "\n", "\n1", "\n1\n", "\n1\n\\", "\n1\n \\.\n", "\n1\n\\. \n", "\n1\\.\n", "\n\\.x\n")
        ),
    ],
)  # fmt: skip
def test_an_unterminated_token_is_reported_at_its_start(
    text: str, message: str, line: int, column: int, shown: str
) -> None:
    with pytest.raises(ScriptError) as caught:
        list(scan("f.sql", [text]))
    place = caught.value.location
    assert place is not None
    assert (caught.value.message, place.line, place.column) == (message, line, column)
    assert place.text
    assert shown.endswith(place.text)
    assert caught.value.hint


COPIES = (
    "copy t from stdin",
    "COPY public.t (a, b) FROM STDIN",
    'copy "from"."stdin" ("to") from stdin with (format csv, header)',
    "copy t (a) from stdin csv null 'x'",
    "copy/* from program */t -- to stdout\nfrom stdin",
    "copy binary t from stdin",
)
OTHER_COPIES = (
    "copy t to stdout",
    "copy t from '/tmp/stdin'",
    "copy t from program 'stdin'",
    "copy (select a from stdin) to stdout",
    'copy t ("from", stdin) to stdout',
    'copy t from "stdin"',
    "select 'copy t from stdin'",
    "copy",
)


def test_data_follows_only_copy_from_stdin() -> None:
    assert [text for text in COPIES if not copies_from_stdin(text)] == []
    assert [text for text in OTHER_COPIES if copies_from_stdin(text)] == []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("rows", [[], ["1\t'a"], ["\\N", "\\.x", "a\\.", " \\.", "--", "$$", "", "\\\\."]])
def test_copy_data_ends_at_its_end_marker(copy: str, rows: list[str], end: str) -> None:
    lines = [f"{copy}; -- rows", *rows, "\\.", "select 1;"]
    found, refusal = _outcome([end.join(lines)])
    data = [(Kind.DATA, "".join(row + end for row in rows))] if rows else []
    assert refusal is None
    assert [item[:2] for item in found] == [
        (Kind.STATEMENT, f"{copy};"),
        (Kind.SPACE, f" -- rows{end}"),
        *data,
        (Kind.DATA_END, f"\\.{end}"),
        (Kind.STATEMENT, "select 1;"),
    ]


@pytest.mark.parametrize("last", ["\\.", "\\.\r", "\\.\n", "\\.\r\n"])
def test_the_end_of_copy_data_may_be_the_end_of_the_file(last: str) -> None:
    assert _kinds(f"copy t from stdin;\n1\n{last}") == [Kind.STATEMENT, Kind.SPACE, Kind.DATA, Kind.DATA_END]


def test_large_copy_data_is_not_held_in_memory() -> None:
    chunks = ["copy t from stdin;\n", *["x" * 99 + "\n"] * 1000, "\\.\n"]
    assert max(len(item.text) for item in scan("f.sql", chunks)) < 5000


def test_a_meta_command_ends_at_the_end_of_its_line() -> None:
    found = [(item.kind, item.text) for item in scan("f.sql", ["select 1; \\echo ';", " '\n\\", "x"])]
    assert found == [
        (Kind.STATEMENT, "select 1;"),
        (Kind.SPACE, " "),
        (Kind.COMMAND, "\\echo '; '\n"),
        (Kind.COMMAND, "\\x"),
    ]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select a.b,'c;d' -- e", ["select", "a", ".", "b", ",", "'c;d'"]),
        ("do $x$ a $x$;\n", ["do", "$x$", "a", "$x$", ";"]),
        ('/* a */ "b""c" E\'\\\'\' 12 /* d */', ['"b""c"', "E'\\''", "12"]),
        ("", []),
    ],
)
def test_tokens_exclude_comments(statement: str, expected: list[str]) -> None:
    assert list(tokens(statement)) == expected
