from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.lint import Finding, Level, Options, lint
from sqlmigrate.lint.fix import Fix, Fixer, write

NAME = "V1.0.0-004__this.up.sql"
MATERIALIZED = "create materialized view m as select 1 as a; create unique index on m (a);"


def proposed(directory: Path, sql: str, earlier: str = "", *, ignore: bool = False) -> list[Fix]:
    if earlier:
        (directory / "V1.0.0-003__earlier.up.sql").write_text(earlier)
    path = directory / NAME
    path.write_text(sql, newline="")
    fixer = Fixer((), Options())
    return (fixer.ignores if ignore else fixer.fixes)(findings(path))


def findings(path: Path) -> list[Finding]:
    return [finding for finding in lint([str(path)]) if finding.level in (Level.ERROR, Level.WARNING)]


@pytest.mark.parametrize(
    ("sql", "fixed", "earlier"),
    [
        ("create index i on t (a);", "create index concurrently i on t (a);", ""),
        ("CREATE UNIQUE INDEX i ON t (a);", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a);", ""),
        ("create index on t (a)", "create index concurrently on t (a)", ""),
        ("create /* x */ index -- y\n i on t (a);", "create /* x */ index concurrently -- y\n i on t (a);", ""),
        ("-- é\r\ncreate index i\r\n\ton t (a);\r\n", "-- é\r\ncreate index concurrently i\r\n\ton t (a);\r\n", ""),
        ("\ufeffcreate index i on t (a);", "\ufeffcreate index concurrently i on t (a);", ""),
        ("select 'é'; create index i on t (a);", "select 'é'; create index concurrently i on t (a);", ""),
        (
            "create index i on t (a);\ncreate index k on t (b);",
            "create index concurrently i on t (a);\ncreate index concurrently k on t (b);",
            "",
        ),
        (
            "create table n (a int); create index on n (a);\ncreate index k on t (b);",
            "create table n (a int); create index on n (a);\ncreate index concurrently k on t (b);",
            "",
        ),
        ("drop index i;", "drop index concurrently i;", "create table t (a int); create index i on t (a);"),
        ("DROP INDEX IF EXISTS i;", "DROP INDEX CONCURRENTLY IF EXISTS i;", ""),
        ("reindex table t;", "reindex table concurrently t;", ""),
        ("REINDEX (VERBOSE) INDEX i;", "REINDEX (VERBOSE) INDEX CONCURRENTLY i;", ""),
        ("refresh materialized view m;", "refresh materialized view concurrently m;", MATERIALIZED),
        (
            'alter table p detach partition "q 1"; select 1;',
            'alter table p detach partition "q 1" concurrently; select 1;',
            "",
        ),
    ],
)
def test_fix_adds_concurrently(tmp_path: Path, sql: str, fixed: str, earlier: str) -> None:
    (fix,) = proposed(tmp_path, sql, earlier)
    assert fix == Fix(str(tmp_path / NAME), sql, fixed)
    write(fix)
    assert (tmp_path / NAME).read_bytes() == fixed.encode()
    assert findings(tmp_path / NAME) == []


@pytest.mark.parametrize(
    ("sql", "earlier"),
    [
        ("create index concurrently i on t (a);", ""),
        ("do $$ begin create index i on t (a); end $$;", ""),
        ("create index i on t (a", ""),
        ("alter table t alter a type bigint;", ""),
        ("refresh materialized view m;", "create materialized view m as select 1 as a;"),
        ("select 'open", ""),
    ],
)
def test_ambiguous_finding_gets_no_fix(tmp_path: Path, sql: str, earlier: str) -> None:
    assert proposed(tmp_path, sql, earlier) == []


_UNIQUE = 'ALTER TABLE s."T" ADD UNIQUE ("A b")'
_UNIQUE_FIXED = """CREATE UNIQUE INDEX CONCURRENTLY "T_A b_key" ON s."T" ("A b");
ALTER TABLE s."T" ADD CONSTRAINT "T_A b_key" UNIQUE USING INDEX "T_A b_key";"""
_PARTITIONS = "create table p (a int) partition by list (a); create table p1 partition of p for values in (1);"
_ON_PARTITIONS = """select 1;

create index i on only p (a);
create index concurrently p1_a_idx on p1 (a);
alter index i attach partition p1_a_idx;
"""


@pytest.mark.parametrize(
    ("sql", "fixed", "earlier"),
    [
        ("drop index i, k;", "drop index concurrently i;\ndrop index concurrently k;", ""),
        (_UNIQUE, _UNIQUE_FIXED, ""),
        ("select 1;\n\ncreate index i on p (a);\n", _ON_PARTITIONS, _PARTITIONS),
    ],
)
def test_fix_writes_the_safer_sql_of_one_file(tmp_path: Path, sql: str, fixed: str, earlier: str) -> None:
    (fix,) = proposed(tmp_path, sql, earlier)
    assert fix.after == fixed
    write(fix)
    assert findings(tmp_path / NAME) == []


@pytest.mark.parametrize(
    "sql",
    [
        "alter table t add unique (a) -- why\n;",
        "alter table t /* why */ add unique (a);",
        "alter table t alter a set not null;",
    ],
)
def test_statement_with_comments_or_several_later_files_is_not_replaced(tmp_path: Path, sql: str) -> None:
    assert proposed(tmp_path, sql) == []


_BOTH_NOT_VALID = (
    "alter table t add constraint t_a_fkey foreign key (a) references u not valid, "
    "add constraint t_a_check check (a > 0) not valid;"
)
FOREIGN_KEY = "alter table t add constraint f foreign key (a) references u (id);"


@pytest.mark.parametrize(
    ("sql", "fixed", "validate"),
    [
        (
            FOREIGN_KEY,
            "alter table t add constraint f foreign key (a) references u (id) not valid;",
            "alter table t validate constraint f;",
        ),
        (
            "ALTER TABLE ONLY s.t ADD CONSTRAINT c CHECK ((a, b) <> (',', ';')) -- x, y;\n;",
            "ALTER TABLE ONLY s.t ADD CONSTRAINT c CHECK ((a, b) <> (',', ';')) NOT VALID -- x, y;\n;",
            "alter table s.t validate constraint c;",
        ),
        (
            'alter table "T 1"\n  add constraint "C,1" check (a > 0),\n  add column b int',
            'alter table "T 1"\n  add constraint "C,1" check (a > 0) not valid,\n  add column b int',
            'alter table "T 1" validate constraint "C,1";',
        ),
        (
            "alter table t add foreign key (a) references u, add check (a > 0)",
            _BOTH_NOT_VALID,
            "alter table t validate constraint t_a_fkey, validate constraint t_a_check;",
        ),
        (
            "alter table t add column a int default 1 constraint f references u;",
            "alter table t add column a int default 1, add constraint f foreign key (a) references u not valid;",
            "alter table t validate constraint f;",
        ),
        (
            "alter table if exists t add constraint f foreign key (a) references u deferrable",
            "alter table if exists t add constraint f foreign key (a) references u deferrable not valid",
            "alter table t validate constraint f;",
        ),
    ],
)
def test_fix_adds_not_valid_and_a_file_that_validates(tmp_path: Path, sql: str, fixed: str, validate: str) -> None:
    fix, new = proposed(tmp_path, sql)
    assert fix.after == fixed
    assert (new.before, new.after.splitlines()[1:]) == (None, [validate])
    for proposal in (fix, new):
        write(proposal)
    assert findings(tmp_path / NAME) == []
    assert findings(Path(new.path)) == []


def test_validating_file_follows_all_other_files(tmp_path: Path) -> None:
    (tmp_path / "V1.2.0-007__later.sql").write_text("select 1;")
    _, new = proposed(tmp_path, FOREIGN_KEY)
    assert new.path == str(tmp_path / "V1.2.0-008__validate_f.up.sql")


def test_validating_file_has_a_down_file_if_the_fixed_file_has_one(tmp_path: Path) -> None:
    (tmp_path / NAME.replace(".up.", ".down.")).write_text("alter table t drop constraint f;")
    _, up, down = proposed(tmp_path, FOREIGN_KEY)
    assert down.path == str(tmp_path / "V1.0.0-005__validate_f.down.sql")
    assert up.path == down.path.replace(".down.", ".up.")


def test_one_file_validates_several_constraints_in_their_order(tmp_path: Path) -> None:
    sql = "alter table t add constraint x check (a > 0), add constraint y check (b > 0);"
    fix, new = proposed(tmp_path, sql)
    assert fix.after.count("not valid") == 2
    assert new.path.endswith("V1.0.0-005__validate_constraints.up.sql")
    assert [line.split()[-1] for line in new.after.splitlines()[1:]] == ["x;", "y;"]


def test_new_files_of_one_call_have_different_versions(tmp_path: Path) -> None:
    paths = [tmp_path / f"V1.0.0-00{number}__x.up.sql" for number in (1, 2)]
    for path in paths:
        path.write_text(FOREIGN_KEY.replace(" t ", f" t{path.name[9]} "))
    made = Fixer((), Options()).fixes([finding for path in paths for finding in findings(path)])
    assert sorted(Path(fix.path).name for fix in made if fix.before is None) == [
        "V1.0.0-003__validate_f.up.sql",
        "V1.0.0-004__validate_f.up.sql",
    ]


def test_only_a_versioned_migration_gets_not_valid(tmp_path: Path) -> None:
    for name in ("other.sql", "R__x.sql", "V1.0.0-001__x.down.sql"):
        path = tmp_path / name
        path.write_text(FOREIGN_KEY)
        assert Fixer((), Options()).fixes(findings(path)) == []


@pytest.mark.parametrize(
    ("sql", "fixed"),
    [
        ("create index i on t (a);", "-- sqlmigrate: ignore=index-not-concurrent\ncreate index i on t (a);"),
        (
            "select 1;\r\n\r\n  drop index i;\r\n",
            "select 1;\r\n\r\n  -- sqlmigrate: ignore=drop-index-not-concurrent\r\n  drop index i;\r\n",
        ),
        (
            "select 1; create index i on t (a);",
            "select 1; \n-- sqlmigrate: ignore=index-not-concurrent\ncreate index i on t (a);",
        ),
        (
            "-- Why.\n\nalter table t add constraint c check (a > 0);",
            "-- Why.\n\n-- sqlmigrate: ignore=check-scans\nalter table t add constraint c check (a > 0);",
        ),
    ],
)
def test_fix_adds_a_comment(tmp_path: Path, sql: str, fixed: str) -> None:
    (fix,) = proposed(tmp_path, sql, ignore=True)
    assert fix.after == fixed
    write(fix)
    assert findings(tmp_path / NAME) == []


def test_one_comment_is_enough_for_two_findings_of_a_rule(tmp_path: Path) -> None:
    sql = "alter table t add constraint x check (a > 0), add constraint y check (b > 0);"
    (fix,) = proposed(tmp_path, sql, ignore=True)
    assert fix.after.count("ignore=") == 1


def test_two_rules_of_a_statement_get_two_comments(tmp_path: Path) -> None:
    sql = "alter table t add constraint x check (a > 0), add constraint y foreign key (b) references u;"
    (fix,) = proposed(tmp_path, sql, ignore=True)
    assert fix.after.count("ignore=") == 2
    write(fix)
    assert findings(tmp_path / NAME) == []


def test_syntax_error_gets_no_comment(tmp_path: Path) -> None:
    assert proposed(tmp_path, "select 'open", ignore=True) == []


def test_unwritable_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write(Fix(str(tmp_path / "no" / "a.sql"), None, ""))
