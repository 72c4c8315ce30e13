"""For any file, the linter returns findings with a location in the file, and every format can print them."""

from __future__ import annotations

import json
import random
import subprocess
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlmigrate.lint import Finding, Options, lint
from sqlmigrate.lint.rules import RULES
from sqlmigrate.render import as_json, findings, gcc, github, gitlab, junit, markdown, sarif
from sqlmigrate.sql.parser import parse
from sqlmigrate.sql.tokens import tokens
from tests.servers import ROOT

EARLIER = "create table t (a int not null, b text, c varchar(10) default 'x'); create index i on t (a);\n"
OPTIONS = Options(preset="all", naming={"table": "[a-z_]+", "column": "[a-z_]+", "index": ".*_idx"})
LONG = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
SHORT = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@cache
def examples() -> list[str]:
    return sorted({example.sql for rule in RULES for example in rule.examples})


@cache
def words() -> list[str]:
    return sorted({token for sql in examples() for token in tokens(sql)})


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """Returns statements of the rules' examples with words removed, doubled or inserted."""
    parts: list[str] = []
    for sql in draw(st.lists(st.sampled_from(examples()), max_size=4)):
        own = list(tokens(sql))
        for _ in range(draw(st.integers(0, 4))):
            at = draw(st.integers(0, len(own)))
            change = draw(st.sampled_from(["out", "in", "twice", "any"]))
            if change == "out":
                del own[at : at + 1]
            elif change == "in":
                own.insert(at, draw(st.sampled_from(words())))
            elif change == "twice":
                own[at:at] = own[at : at + 3]
            else:
                own.insert(at, draw(st.text(max_size=5)))
        parts.append(draw(st.sampled_from([" ", "\n", "\t", "\r\n", " -- é\n", " /* ß */ "])).join(own))
    return draw(st.sampled_from([";", ";\n", "\n", "; -- sqlmigrate: ignore=syntax\n"])).join(parts)


def sql_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", "*.sql"], check=True, capture_output=True, cwd=ROOT).stdout
    return [ROOT / name for name in sorted(listed.decode().split("\0")) if name]


def linted(directory: Path, content: bytes, direction: str = "up") -> list[Finding]:
    """Returns the findings in a file that follows another file, and checks their locations."""
    (directory / "V1.0.0-001__earlier.up.sql").write_text(EARLIER)
    path = directory / f"V1.0.0-002__fuzz.{direction}.sql"
    path.write_bytes(content)
    found = lint([str(path)], options=OPTIONS)
    lines = content.decode("utf-8-sig", "replace").split("\n")
    for finding in found:
        assert finding.location.path == str(path)
        line, column = finding.location.line or 1, finding.location.column or 1
        assert 1 <= line <= len(lines), finding
        assert 1 <= column <= len(lines[line - 1]) + 1, finding
        assert finding.message
        assert "\n" not in finding.location.text
        for sql in filter(None, (finding.safer.sql, *finding.safer.later)):
            assert parse(sql)
    shown(found, str(path))
    return found


def shown(found: list[Finding], path: str) -> None:
    for program in (sarif, gitlab):
        json.loads(program.findings(found, [path]))
    json.dumps(as_json.findings(found))
    ET.fromstring(junit.findings(found, [path]))  # noqa: S314  # our own text
    for form in (gcc, github):
        assert len(form.findings(found, [path]).split("\n")) <= len(found) + 1
    assert findings.findings(found, [path])
    assert markdown.findings(found, [path])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@SHORT
@given(sql=scripts(), direction=st.sampled_from(["up", "down"]))
def test_almost_valid_sql_never_crashes_the_linter(directory: Path, sql: str, direction: str) -> None:
    linted(directory, sql.encode("utf-8", "surrogatepass"), direction)


@pytest.mark.long
@LONG
@given(sql=scripts(), direction=st.sampled_from(["up", "down"]))
def test_almost_valid_sql_never_crashes_the_linter_long(directory: Path, sql: str, direction: str) -> None:
    linted(directory, sql.encode("utf-8", "surrogatepass"), direction)


@SHORT
@given(content=st.binary(max_size=200))
def test_random_bytes_never_crash_the_linter(directory: Path, content: bytes) -> None:
    linted(directory, content)


def cut(directory: Path, seed: int, rounds: int) -> None:
    """Lints random byte ranges of each file, which may split a character."""
    chosen = random.Random(seed)
    for path in sql_files():
        content = path.read_bytes()
        for _ in range(rounds):
            first, last = sorted(chosen.choices(range(len(content) + 1), k=2))
            for piece in (content[:last], content[first:last], content[first:]):
                linted(directory, piece, chosen.choice(["up", "down"]))


def test_truncated_files_never_crash_the_linter(directory: Path) -> None:
    cut(directory, seed=4, rounds=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_truncated_files_never_crash_the_linter_long(directory: Path, seed: int) -> None:
    cut(directory, seed, rounds=50)


def test_truncated_file_is_a_syntax_error_with_line_number(directory: Path) -> None:
    found = linted(directory, b"select 1;\ncreate table u (\n  a int,\n  b")
    assert [(finding.rule, finding.location.line) for finding in found if finding.rule == "syntax"] == [("syntax", 4)]


DEEP = 12_000
ODD: dict[str, tuple[bytes, list[tuple[str, int, int]]]] = {
    "empty": (b"", []),
    "only a BOM": (b"\xef\xbb\xbf", []),
    "only spaces and comments": (b"  \n\t\n;;;\n-- c\n/* x */", []),
    "no UTF-8": (b"select 1;\nselect '\xff';", [("syntax", 2, 1)]),
    "UTF-16": ("select 1;".encode("utf-16"), [("syntax", 1, 1)]),
    "a NUL": (b"select 1;\n\0", [("syntax", 2, 1)]),
    "an unterminated quoted string": (b"select 1;\nselect 'a\n\n", [("syntax", 2, 8)]),
    "an unterminated dollar-quoted string": (b"do $$ begin\n drop", [("syntax", 1, 4)]),
    "an unterminated comment": (b"select 1; /* /* */\n", [("syntax", 1, 11)]),
    "COPY without its end": (b"copy t from stdin;\n1\n", [("syntax", 1, 1)]),
    "a meta-command": (b"select 1;\n\\i other.sql\n", [("syntax", 2, 1)]),
    "half a surrogate": (b"select U&'\\D83D';", [("syntax", 1, 16)]),
    "parentheses": (b"select " + b"(" * DEEP + b"1" + b")" * DEEP, [("syntax", 1, 10_004)]),
    "open parentheses": (b"\nselect " + b"(" * DEEP, [("syntax", 2, 10_004)]),
    "operators": (b"select 1" + b" + 1" * DEEP, [("syntax", 1, 1)]),
    "casts": (b"select 1" + b"::int" * DEEP, [("syntax", 1, 1)]),
    "unions": (b"select 1" + b" union select 1" * 5000, [("syntax", 1, 1)]),
    "blocks": (b"do $$ " + b"begin " * 2000 + b"null; " + b"end; " * 2000 + b"$$;", []),
    "a DO without a body": (b"do language plpgsql;", [("function-body-syntax", 1, 1)]),
    "an empty DO block": (b"do '';\ndo language sql '';", [("function-body-syntax", 1, 1)]),
    "a function without anything": (b"create function f();", [("function-body-syntax", 1, 1)]),
    "nested comments": (b"/*" * DEEP + b"*/" * DEEP, []),
    "a wide table": (b"create table w (" + b",".join(b"c%d text" % n for n in range(300)) + b");", []),
    "a wide ALTER TABLE": (b"alter table t " + b",".join(b"add column c%d text" % n for n in range(300)) + b";", []),
    "a long line": (b"insert into t (a) values (1)" + b",(1)" * 20_000 + b";", []),
    "a long comment": (b"--" + b"-" * 1_000_000 + b"\nselect 1;", []),
    "many ignores": (b"-- sqlmigrate: ignore=" + b",".join([b"drop-table"] * 10_000) + b"\ndrop table t;", []),
}


@pytest.mark.parametrize("name", ODD)
def test_unusual_file_is_clean_or_has_an_error_with_location(directory: Path, name: str) -> None:
    content, expected = ODD[name]
    found = linted(directory, content)
    errors = [finding for finding in found if finding.level.value == "error"]
    assert [(finding.rule, finding.location.line or 1, finding.location.column or 1) for finding in errors] == expected


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        ("select 'é😀'; create index j on t (b);", 1, 14),
        ("-- é\n\tselect 'ß';\t\tcreate index j on t (b);", 2, 15),
        ("\ufeffcreate index j on t (b);", 1, 1),
        ("select 1;\r\n\r\n  create index j on t (b);\r\n", 3, 3),
        ("select 1;\rcreate index j on t (b);", 1, 11),
        ("/* é\n */ create index j on t (b);", 2, 5),
        ("copy t (a) from stdin;\n1\té\n2\t;\n\\.\n create index j on t (b);", 5, 2),
        ("\\restrict x\nselect $é$;\n$é$; create index j on t (b);", 3, 6),
        ("do $$ begin\n  /* é */ drop table u;\nend $$; create index j on t (b);", 3, 9),
    ],
)
def test_locations_count_lines_and_characters_from_1(directory: Path, content: str, line: int, column: int) -> None:
    found = linted(directory, content.encode())
    (place,) = [finding.location for finding in found if finding.rule == "index-not-concurrent"]
    assert (place.line, place.column) == (line, column)
