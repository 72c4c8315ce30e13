from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.model import Location
from sqlmigrate.sql import script
from sqlmigrate.sql.script import parse
from sqlmigrate.sql.segments import PIECE_SIZE, Cuts, Piece, Script

CONCURRENTLY = "create index concurrently i on t (a);"


def _parse(text: str, cuts: Cuts | None = None) -> Script:
    return parse("f.sql", [text], cuts)


def _segments(text: str, cuts: Cuts | None = None) -> list[tuple[int, int, bool, str]]:
    """First statement, number of statements, whether it is a transaction, the author's BEGIN; of each segment."""
    script = _parse(text, cuts)
    assert script.errors == []
    return [(segment.first, segment.statements, segment.transactional, segment.begin) for segment in script.segments]


def _texts(text: str, offset: int = 0, cuts: Cuts | None = None) -> list[str]:
    """What the pieces send, taken from the file by their offsets."""
    content = b"\xef\xbb\xbf"[:offset] + text.encode()
    script = parse("f.sql", [text], cuts, offset)
    return [content[piece.start : piece.end].decode() for segment in script.segments for piece in segment.pieces]


# Segments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("-- nothing\n;;", []),
        ("select 1; select 2", [(0, 2, True, "")]),
        (f"select 1; {CONCURRENTLY} select 2; select 3;", [(0, 1, True, ""), (1, 1, False, ""), (2, 2, True, "")]),
        (f"{CONCURRENTLY} {CONCURRENTLY}", [(0, 1, False, ""), (1, 1, False, "")]),
        ("begin; select 1; select 2; commit;", [(0, 2, True, "begin")]),
        ("begin; commit;", []),
        (
            "select 0; BEGIN Read Write; select 1; end; select 2; start transaction ; select 3; commit work;",
            [(0, 1, True, ""), (1, 1, True, "BEGIN Read Write"), (2, 1, True, ""),
                (3, 1, True, "start transaction")],
        ),
        ("begin; select 1; begin; select 2; commit;", [(0, 2, True, "begin")]),
        (f"begin; {CONCURRENTLY} commit;", [(0, 1, True, "begin")]),
        ("begin; savepoint a; rollback to a; rollback to savepoint a; commit and no chain;", [(0, 3, True, "begin")]),
        ("-- sqlmigrate: transaction=off\nselect 1; select 2; vacuum;",
            [(0, 1, True, ""), (1, 1, True, ""), (2, 1, False, "")]),
        ("-- sqlmigrate: transaction=off\nbegin; select 1; select 2; commit;", [(0, 2, True, "begin")]),
        ("-- sqlmigrate: transaction=on\nselect 1; select 2;", [(0, 2, True, "")]),
        ("select 1; \\echo half\nselect 2;", [(0, 2, True, "")]),
    ],
)  # fmt: skip
def test_statements_that_commit_together_are_a_segment(text: str, expected: list[tuple[int, int, bool, str]]) -> None:
    assert _segments(text) == expected


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        (Cuts(skip=1), [(1, 3, True, "")]),
        (Cuts(skip=4), []),
        (Cuts(alone=frozenset({1})), [(0, 1, True, ""), (1, 1, False, ""), (2, 2, True, "")]),
        (Cuts(before=frozenset({2})), [(0, 2, True, ""), (2, 2, True, "")]),
        (Cuts(before=frozenset({0, 1})), [(0, 1, True, ""), (1, 3, True, "")]),
        (Cuts(1, frozenset({3}), frozenset({2})), [(1, 1, True, ""), (2, 1, True, ""), (3, 1, False, "")]),
    ],
)
def test_cuts_override_the_segments(cuts: Cuts, expected: list[tuple[int, int, bool, str]]) -> None:
    assert _segments("select 0; select 1; select 2; select 3;", cuts) == expected
    assert _parse("select 0; select 1; select 2; select 3;", cuts).statements == 4


def test_a_transaction_block_of_the_author_is_not_split() -> None:
    cuts = Cuts(before=frozenset({1}), alone=frozenset({1}))
    assert _segments("begin; select 0; select 1; commit;", cuts) == [(0, 2, True, "begin")]


def test_a_rerun_continues_after_a_committed_block() -> None:
    text = "begin; select 0; select 1; commit; select 2; begin read write; select 3; commit;"
    assert _segments(text, Cuts(skip=2)) == [(2, 1, True, ""), (3, 1, True, "begin read write")]


@pytest.mark.parametrize(
    ("text", "patient"),
    [
        ("alter table t validate constraint c;", True),
        ("alter table t validate constraint c; alter table t validate constraint d;", True),
        ("alter table t validate constraint c; alter table t add a int;", False),
        ("select 1;", False),
    ],
)
def test_only_validating_constraints_waits_without_a_limit(text: str, patient: bool) -> None:  # noqa: FBT001  # a fact
    assert [segment.patient for segment in _parse(text).segments] == [patient]


# What a script says of itself


@pytest.mark.parametrize(
    ("head", "description"),
    [
        ("-- Adds channels. \n-- And more.\n", "Adds channels."),
        ("--\n--\n-- PostgreSQL dump\r\n", "PostgreSQL dump"),
        ("-- sqlmigrate: transaction=off\n--Größe\n", "Größe"),
        ("\\restrict x\n-- Behind.\n", "Behind."),
        ("begin;\n-- Within.\n", "Within."),
        ("", ""),
        ("/* block */ select 1; -- too late\n", ""),
    ],
)
def test_the_first_comment_describes_a_script(head: str, description: str) -> None:
    assert _parse(f"{head}select 1; -- not this\n").description == description


@pytest.mark.parametrize(
    ("head", "directives"),
    [
        ("-- sqlmigrate: transaction=off\n", {"transaction": 0}),
        ("--sqlmigrate:transaction=on\r\n", {"transaction": 1}),
        ("-- sqlmigrate: lock-retries=30\n", {"lock-retries": 30}),
        (
            "-- x\n  -- SQLMigrate: lock-timeout=1s  statement-timeout=0\n\n-- sqlmigrate: Transaction=OFF\n",
            {"lock-timeout": 1000, "statement-timeout": 0, "transaction": 0},
        ),
        ("-- see sqlmigrate: transaction=off\n", {}),
    ],
)
def test_directives_are_read_at_the_head_of_the_file(head: str, directives: dict[str, int]) -> None:
    script = _parse(f"{head}select 1;")
    assert (script.directives, script.problems) == (directives, ())


def test_a_number_that_is_too_long_is_refused() -> None:
    (problem,) = _parse(f"-- sqlmigrate: lock-retries={'9' * 5000}\nselect 1;").problems
    assert problem.code == "directive"


def test_a_directive_below_the_first_statement_is_refused() -> None:
    (problem,) = _parse("select 0;\n\n-- sqlmigrate: transaction=off\nvacuum").problems
    assert (problem.message, str(problem.location)) == ("a directive must be before the first statement", "f.sql:3:1")


@pytest.mark.parametrize(
    ("directive", "message", "hint"),
    [
        (
            "transactions=off",
            'unrecognized directive "transactions"',
            "write one of transaction, lock-timeout, lock-retries, statement-timeout, draft",
        ),
        ("transaction=no", 'invalid value for directive "transaction": "no"', "write transaction=off"),
        ("transaction", 'invalid value for directive "transaction": ""', "write transaction=off"),
        ("lock-timeout=5", "'5' is not a duration", "write it with its unit: 500ms, 5s, 10min, 1h"),
    ],
)
def test_an_invalid_directive_is_refused_with_its_location(directive: str, message: str, hint: str) -> None:
    (problem,) = _parse(f"-- a\n  -- sqlmigrate: {directive}\nselect 1;").problems
    assert (problem.code, problem.message, problem.hint) == ("directive", message, hint)
    assert problem.location == Location("f.sql", 2, 1, f"-- sqlmigrate: {directive}")


STEERING = (
    "\\restrict abc", "\\unrestrict abc", "\\echo hello 'x", "\\qecho x", "\\warn x", "\\timing", "\\timing off",
    "\\pset pager off", "\\x",
    "\\set ON_ERROR_STOP on", "\\set ON_ERROR_STOP", "\\set QUIET 1", "\\set VERBOSITY terse", "\\set ECHO all",
    "\\set name value", "\\set ON_ERROR_STOPPER", "\\unset ON_ERROR_STOP", "\\o x", "\\dt+ x.*", "\\encoding UTF8",
    "\\encoding 'utf-8'",
)  # fmt: skip
OTHERS = (
    "\\i x.sql", "\\ir x.sql", "\\connect d", "\\c d", "\\copy t from x", "\\gexec", "\\g", "\\set AUTOCOMMIT off",
    "\\encoding latin1", "\\if true", "\\xx", "\\", "\\.", "\\restricted",
)  # fmt: skip


@pytest.mark.parametrize("command", STEERING)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_meta_command_that_only_controls_psql_is_skipped_and_reported(command: str, end: str) -> None:
    script = _parse(f"select 1;{end}{command}{end}select 2;")
    assert (script.steering, script.problems, script.statements) == ((f"f.sql:2: {command}",), (), 2)


@pytest.mark.parametrize("command", OTHERS)
def test_any_other_meta_command_is_refused_with_its_location(command: str) -> None:
    script = _parse(f"select 1;\n/* é */ {command}\nselect 2;")
    (problem,) = script.problems
    assert (problem.code, script.steering) == ("psql-command", ())
    assert problem.message == f"psql meta-command {command.split(maxsplit=1)[0]} is not supported"
    assert problem.location == Location("f.sql", 2, 9, command)
    assert problem.hint


@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("rollback", "refused", "ROLLBACK would roll back the script"),
        ("ABORT work", "refused", "ROLLBACK would roll back the script"),
        ("rollback and chain", "refused", "ROLLBACK would roll back the script"),
        ("prepare transaction 'x'", "refused", "a two-phase transaction cannot be recorded in the same transaction"),
        ("commit prepared 'x'", "refused", "a two-phase transaction cannot be recorded in the same transaction"),
        ("rollback prepared 'x'", "refused", "a two-phase transaction cannot be recorded in the same transaction"),
        ("commit and chain", "refused", "COMMIT AND CHAIN leaves a transaction open"),
        ("discard all", "refused", "DISCARD ALL would release the migration lock"),
        ("begin transaction isolation level serializable, read only", "refused",
            "a read-only transaction cannot write to the history table"),
        ("begin; select 2", "open-block",
            "the transaction block is still open at the end of the file, where psql would roll it back"),
        ("begin; select 2; \\q", "open-block",
            "the transaction block is still open at \\q in line 2, where psql would roll it back"),
        ("select 'a", "unreadable", "unterminated quoted string"),
    ],
)  # fmt: skip
def test_a_statement_that_cannot_run_is_refused_with_its_location(statement: str, code: str, message: str) -> None:
    (problem,) = _parse(f"select 1;\n  {statement}").problems
    column = 3 if code != "unreadable" else 10
    assert (problem.code, problem.message) == (code, message)
    assert problem.location is not None
    assert (problem.location.line, problem.location.column) == (2, column)
    assert problem.hint


def test_all_refusals_are_reported() -> None:
    problems = _parse("\\i a\nselect 1;\nrollback;\ndiscard all;\nbegin; select 1;\n'").problems
    assert [problem.code for problem in problems] == [
        "psql-command",
        "refused",
        "refused",
        "unreadable",
        "open-block",
    ]
    assert [problem.location.line for problem in problems if problem.location] == [1, 3, 4, 6, 5]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("commit; create index concurrently i on t (a); begin;", [(0, 1)]),
        ("select 1; commit; select 2; end; select 3", [(0, 1), (1, 2), (2, 3)]),
        ("begin; select 1; commit; commit; begin", [(0, 1)]),
        ("rollback; select 1; start transaction;", [(0, 1)]),
    ],
)
def test_a_commit_without_begin_ends_a_segment_and_an_empty_block_is_harmless(
    text: str, segments: list[tuple[int, int]]
) -> None:
    script = _parse(text)
    assert script.problems == ()
    assert [(segment.first, segment.end) for segment in script.segments] == segments


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("set client_encoding = 'LATIN1';\nselect 'é';", True),
        ("select 'é';\nSET CLIENT_ENCODING TO latin1;", True),
        ("set client_encoding = 'LATIN1';\nselect 'e';", False),
        ("set client_encoding = 'UTF8';\nselect 'é';", False),
        ("set client_encoding = 'utf-8'; set client_encoding to unicode;\nselect 'é';", False),
    ],
)
def test_a_utf_8_file_that_sets_another_encoding_is_refused(text: str, refused: bool) -> None:  # noqa: FBT001  # a fact
    assert [problem.code for problem in _parse(text).problems] == ["encoding"] * refused


# The session


def test_settings_of_committed_segments_are_kept_for_the_rest() -> None:
    text = (
        "set search_path = a ; set local work_mem = 1; select set_config('x.y', '1', false);"
        "select pg_catalog.set_config('x.z', '', false); reset role; select 1; set role b;"
    )
    script = _parse(text, Cuts(skip=6))
    assert script.sets_session
    assert script.session == (
        "set search_path = a",
        "select set_config('x.y', '1', false)",
        "select pg_catalog.set_config('x.z', '', false)",
        "reset role",
    )
    assert _parse(text).session == ()


@pytest.mark.parametrize("text", ["select 1;", "set local role a;", "set transaction read write;"])
def test_a_script_without_settings_is_recognized(text: str) -> None:
    assert not _parse(text).sets_session


# Pieces


@pytest.mark.parametrize("offset", [0, 3])
def test_a_piece_is_a_range_of_bytes_of_the_file(offset: int) -> None:
    text = f"-- é\nselect 'ü'; /* ö */ select 2;\n {CONCURRENTLY}\n\\echo ä\n \xa0x; begin; select 4; commit; select 5"
    script = parse("f.sql", [text], None, offset)
    assert script.problems == ()
    assert _texts(text, offset) == ["select 'ü'; /* ö */ select 2;", CONCURRENTLY, "\xa0x;", "select 4;", "select 5"]
    places = [(piece.line, piece.column, piece.statements) for segment in script.segments for piece in segment.pieces]
    assert places == [(2, 1, 2), (3, 2, 1), (5, 2, 1), (5, 13, 1), (5, 31, 1)]


def test_a_piece_ends_with_a_copy_and_has_the_range_of_its_data() -> None:
    text = "select 'é';\ncopy t from stdin;\né\n\\.\nselect 2;\ncopy t from stdin;\n\\.\n"
    pieces = _parse(text).segments[0].pieces
    assert pieces == (
        Piece(0, 31, 1, 1, 2, rows=(32, 35)),
        Piece(38, 66, 5, 1, 2, rows=(67, 67)),
    )
    assert _parse(text).segments[0].size == 35 + 67 - 38


def test_the_data_of_a_copy_is_the_sum_of_its_blocks() -> None:
    chunks = ["copy t from stdin;\n", *["1234\n"] * 50, "\\.\n"]
    assert parse("f.sql", chunks).segments[0].pieces == (Piece(0, 18, 1, 1, 1, rows=(19, 269)),)


def test_a_long_script_is_sent_in_pieces() -> None:
    large = f"insert into t values ('{'é' * (PIECE_SIZE // 2)}');"
    script = _parse(f"select 1; {large} select 2;")
    assert [(piece.statements, piece.column) for piece in script.segments[0].pieces] == [(2, 1), (1, len(large) + 12)]
    assert script.segments[0].statements == 3


def test_a_statement_that_postgresql_does_not_accept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "STATEMENT_SIZE", 20)
    accepted, refused = "select '1234567890';", "select '12345678901é';"
    (problem,) = _parse(f"{accepted}\n  {refused}").problems
    assert (problem.code, problem.location) == ("too-long", Location("f.sql", 2, 3, refused))


def test_a_copy_after_long_sql_keeps_its_data() -> None:
    (piece,) = _parse(f"select '{'x' * (PIECE_SIZE - 20)}';\ncopy t from stdin;\n1\n\\.\n").segments[0].pieces
    assert piece.rows is not None
    assert piece.rows[1] - piece.rows[0] == 2


def test_a_setting_that_changes_the_parsing_ends_its_message() -> None:
    pieces = (
        _parse("select 1; set standard_conforming_strings = off; select 2; set x.y = '1'; select 3;").segments[0].pieces
    )
    assert [(piece.statements, piece.ends_message) for piece in pieces] == [(2, True), (3, False)]


def test_a_rerun_sends_only_the_rest() -> None:
    text = "select 'é'; copy t from stdin;\n1\n\\.\nselect 2; select 3;"
    assert _texts(text, 3, Cuts(skip=2)) == ["select 2; select 3;"]
    assert _parse(text, Cuts(skip=2)).segments[0].end == 4


# Checksums of what is done

SCRIPT = (
    f"-- é\nset role a;\n{CONCURRENTLY}\ncopy t\nfrom stdin;\n1\n2\n\\.\n"
    f"begin;\nselect 'ü\n';\ncommit;\n{CONCURRENTLY}\n"
)


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=5))
def test_a_script_is_the_same_whatever_the_chunks(cuts: list[int]) -> None:
    at = sorted({0, *cuts, len(SCRIPT)})
    assert parse("f.sql", [SCRIPT[a:b] for a, b in pairwise(at)]) == _parse(SCRIPT)


def test_crlf_and_lf_give_the_same_checksum_of_the_committed_part() -> None:
    assert [segment.done_checksum for segment in _parse(SCRIPT.replace("\n", "\r\n")).segments] == [
        segment.done_checksum for segment in _parse(SCRIPT).segments
    ]


def test_the_skipped_part_has_the_recorded_checksum() -> None:
    recorded = [(segment.end, segment.done_checksum) for segment in _parse(SCRIPT).segments]
    assert len({checksum for _, checksum in recorded}) == len(recorded) == 5
    assert [(end, _parse(SCRIPT, Cuts(skip=end)).skipped_checksum) for end, _ in recorded] == recorded


@pytest.mark.parametrize("old", ["role a", "t (a)", "2\n", "ü"])
def test_a_change_in_the_committed_part_changes_its_checksum(old: str) -> None:
    assert (
        _parse(SCRIPT.replace(old, f"x{old}", 1)).segments[-1].done_checksum
        != _parse(SCRIPT).segments[-1].done_checksum
    )


def test_comments_between_statements_do_not_change_the_checksum() -> None:
    plain, said = _parse("select 1;select 2;"), _parse("select 1; -- a\n/* b */\nselect 2;")
    assert plain.segments[0].done_checksum == said.segments[0].done_checksum


def test_a_directive_of_the_linter_is_none_of_the_script() -> None:
    script = _parse("-- sqlmigrate: ignore=index-not-concurrent\nselect 1; -- sqlmigrate: ignore=unused-ignore")
    assert (script.directives, script.problems) == ({}, ())


CUT = "create index concurrently i on t (a);"


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        (f"create temp table s (a int); {CUT} insert into t select a from s; table s;", ["temporary table s"]),
        (f"create temp table s (a int); table s; {CUT} select 1;", []),
        (f"create temp table s (a int); {CUT} create temp table s (a int); table s;", []),
        (
            f"select nextval('q'); {CUT} select lastval(); select currval('q');",
            ["value of lastval()", "value of currval()"],
        ),
        (f"{CUT} select nextval('q'); select lastval();", []),
        ("create temp table s (a int); select nextval('q'); table s; select lastval();", []),
    ],
)
def test_a_script_knows_what_a_segment_needs_of_an_earlier_one(text: str, carried: list[str]) -> None:
    assert [str(needed) for needed in _parse(text).carried] == carried
