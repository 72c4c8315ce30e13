from __future__ import annotations

import html as escapes
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click import unstyle

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import source
from sqlmigrate.model import Action, Location, Plan, PlanRequest, Problem
from sqlmigrate.planning import plan_file, planner
from sqlmigrate.planning.review import Review, ReviewedStatement, review
from sqlmigrate.render import as_json, html, markdown, phrases, summary, text
from sqlmigrate.render.escape import in_line
from tests.unit.samples import row, version

ATTACK = "</style></pre></details><script>alert(1)</script>"
DANGEROUS = """-- What a reviewer looks for.
alter table orders add column note text;
create index orders_note_idx on orders (note);
create index customers_name_idx on customers (name);
do $$ begin execute 'drop table if exists unseen'; end $$;
drop table old;
comment on table orders is 'one';
comment on table orders is 'two';
create index concurrently orders_id_idx on orders (id);
"""


APPLY = PlanRequest(Action.APPLY)


def made(root: Path, files: dict[str, str], asked: PlanRequest = APPLY, database: str = "shop") -> Review:
    """The review of files, none of them applied; a rollback takes back what lies there."""
    for name, content in files.items():
        (root / f"{name}.sql").write_text(content, encoding="utf-8")
    found = source.find((str(root),))
    rows = [row(int(migration.id[-3:]), checksum=migration.checksum) for migration in found.migrations]
    standing = planner.statuses(found.migrations, rows if asked.action is Action.ROLL_BACK else [])
    plan = planner.plan(asked, standing, found.hooks)
    return review(
        plan, asked, plan_file.inputs_of(plan, {"database": database, "server": "7/5"}, "public.migrations", [])
    )


@pytest.fixture
def dangerous(tmp_path: Path) -> Review:
    return made(tmp_path, {"V1.0.0-001__notes.up": DANGEROUS, "V1.0.0-002__next": "select 1;"})


def shown(made: Review) -> str:
    return unstyle(text.review(made))


class Page(HTMLParser):
    """What a browser takes for elements and for text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  # the signature is the base class's
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_text_shows_the_locks_of_each_statement(dangerous: Review) -> None:
    lines = [line.strip() for line in shown(dangerous).splitlines()]
    first = lines.index("2  alter table orders add column note text;")
    assert lines[first - 2 : first + 12] == [
        str(dangerous.steps[0].step.path),
        "begin",
        "2  alter table orders add column note text;",
        "→ ACCESS EXCLUSIVE on orders: blocks reads and writes",
        "3  create index orders_note_idx on orders (note);",
        "→ SHARE on orders: blocks writes; builds an index",
        "4  create index customers_name_idx on customers (name);",
        "→ SHARE on customers: blocks writes; builds an index",
        "5  do $$ begin execute 'drop table if exists unseen'; end $$;",
        f"may take further locks: {dangerous.steps[0].transactions[0].statements[3].hidden}",
        "6  drop table old;",
        "→ ACCESS EXCLUSIVE on old: blocks reads and writes",
        f"may take further locks: {dangerous.steps[0].transactions[0].statements[4].hidden}",
        "cannot be undone: the rows of old are lost",
    ]
    outside = lines.index("outside a transaction")
    assert lines[outside - 1] == "commit"
    assert lines[outside + 1].startswith("9  create index concurrently")


def test_text_ends_with_the_summary_and_the_digest(dangerous: Review) -> None:
    end = shown(dangerous).split("cannot be undone:\n")[1]
    assert "v1.0.0-001  notes: there is no down file; the rows of old are lost" in end
    assert "v1.0.0-002  next: there is no down file" in end
    assert " ".join(end.split()).endswith(
        "migration of database shop: 2 migrations, 9 statements; blocks reads of 2 tables, writes of 3 tables;"
        f" 2 steps cannot be undone; 2 statements may take further locks digest {dangerous.digest}"
    )


def test_the_colour_shows_what_is_blocked(dangerous: Review) -> None:
    shown = text.review(dangerous)
    assert "\x1b[31m→ ACCESS EXCLUSIVE" in shown
    assert "\x1b[33m→ SHARE on" in shown
    assert "\x1b[2m→ SHARE UPDATE EXCLUSIVE" in shown


def test_every_format_shows_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    nothing = made(tmp_path, {})
    assert shown(nothing) == f"migration of database shop: nothing to do\ndigest {nothing.digest}"
    assert markdown.review(nothing) == (
        f"## Migration of <code>shop</code>\n\nnothing to do.\n\nDigest: `{nothing.digest}`"
    )
    assert "Nothing to do." in html.review(nothing)


def test_every_format_shows_problems(tmp_path: Path) -> None:
    (tmp_path / "V1__wrong.sql").write_text("select 1")
    found = source.find((str(tmp_path),))
    problems = (*found.problems, Problem("odd", "nowhere", Location("a|b", 3), "mend it"))
    plan = Plan((), problems)
    plan_review = review(
        plan, APPLY, plan_file.inputs_of(plan, {"database": "shop", "server": "7/5"}, "migrations", [])
    )
    for problem in problems:
        assert phrases.problem(problem) in text.review(plan_review)
        assert escapes.escape(problem.message) in html.review(plan_review)
    assert "- **error**: <code>a&#124;b&#58;3</code>: nowhere → mend it" in markdown.review(plan_review)


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        (PlanRequest(Action.APPLY), "migration"),
        (PlanRequest(Action.APPLY, version(2), out_of_order=True), "migration to v1.0.0-002, out of order"),
        (PlanRequest(Action.ROLL_BACK, version(1)), "rollback to v1.0.0-001"),
        (PlanRequest(Action.ROLL_BACK, steps=1), "rollback of 1 step"),
    ],
)
def test_the_title_shows_the_request(tmp_path: Path, asked: PlanRequest, title: str) -> None:
    up, down = "create table t ();", "drop table t;"
    names = [f"V1.0.0-00{number}__t" for number in (1, 2)]
    plan_review = made(
        tmp_path, {f"{name}.{way}": sql for name in names for way, sql in (("up", up), ("down", down))}, asked
    )
    assert f"\n{title} of database shop: " in shown(plan_review)
    assert f"<h1>{title.capitalize()} of shop</h1>" in html.review(plan_review)
    if asked.action is Action.ROLL_BACK:
        assert "roll back  v1.0.0-002  t" in shown(plan_review)
        assert "| roll back | reads and writes | **no** |" in markdown.review(plan_review)


def test_hooks_around_each_migration_are_shown_separately(tmp_path: Path) -> None:
    plan_review = made(tmp_path, {"V1.0.0-001__t": "create table t ();", "before_each": "lock table queue;"})
    assert "hooks around each migration, or after an error:\nrun        before_each\n" in shown(plan_review)
    assert "1 migration, 1 hook, 2 statements; blocks reads of 1 table, writes of 1 table" in summary.sentence(
        plan_review
    )
    assert "| <code>before_each</code> | <code>before_each</code> | run | reads and writes | – |" in markdown.review(
        plan_review
    )
    assert "a hook around each migration or after an error" in html.review(plan_review)


def test_markdown_lists_blocked_tables_and_irreversible_steps(dangerous: Review) -> None:
    page = markdown.review(dangerous)
    assert "| <code>v1.0.0-001</code> | <code>notes</code> | apply | reads and writes | **no** |" in page
    assert "| <code>v1.0.0-002</code> | <code>next</code> | apply | nobody | **no** |" in page
    assert (
        "- <code>orders</code>: ACCESS EXCLUSIVE **blocks reads and writes** (<code>v1.0.0-001</code> line 2, 3)"
        in page
    )
    assert "- <code>customers</code>: SHARE **blocks writes** (<code>v1.0.0-001</code> line 4)" in page
    assert "- <code>v1.0.0-001</code>: there is no down file; the rows of old are lost" in page
    assert "### Statements that may take further locks\n\n- <code>v1.0.0-001</code> line 5: runs SQL" in page
    assert "In one transaction:\n\n```sql\nalter table orders add column note text;\ncreate index" in page
    assert page.endswith(f"Digest: `{dangerous.digest}`")


def test_markdown_of_a_long_plan_omits_the_sql(tmp_path: Path) -> None:
    sql = "create table t ();\n" + "select 'some words to make it long';\n" * 200
    plan_review = made(tmp_path, {f"V1.0.0-{number:03d}__t": sql for number in range(1, 20)})
    page = markdown.review(plan_review)
    assert "The SQL is too long for a comment" in page
    assert len(page) < 65_536
    assert "<details>" not in page
    assert "| <code>v1.0.0-019</code> |" in page


def test_a_fence_is_longer_than_the_backticks_inside(tmp_path: Path) -> None:
    plan_review = made(tmp_path, {"V1.0.0-001__t": "select '\n````\n# not a heading';"})
    assert "`````sql\nselect '\n````\n# not a heading';\n`````\n" in markdown.review(plan_review)


def test_names_have_no_markdown_meaning(tmp_path: Path) -> None:
    plan_review = made(tmp_path, {"V1.0.0-001__t": 'drop table "@dba|*x*_<b>";'}, database="a|b`c")
    page = markdown.review(plan_review)
    outside = re.sub(r"(?s)```sql.*?```", "", page)
    assert "## Migration of <code>a&#124;b&#96;c</code>" in page
    assert "&#64;<!-- -->dba&#124;&#42;x&#42;&#95;&#60;b&#62;" in outside
    assert not re.search(r"@dba|<b>|\*x\*", outside)


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    root = tmp_path / "<script>alert(2)<" / "script>"
    root.mkdir(parents=True)
    quoted = f"drop table \"{ATTACK}\";\n-- {ATTACK}\nselect '{ATTACK}';\n/* {ATTACK} */"
    in_block = f"do $$ begin -- {ATTACK}\nexecute '{ATTACK}'; end $$;"
    plan_review = made(root, {"V1.0.0-001__<script>alert(3)": quoted, "V1.0.0-002__t": in_block}, database=ATTACK)
    plain = Page(html.review(made(tmp_path, {"V1.0.0-009__t": "select 1;"})))
    page = Page(html.review(plan_review))
    assert "script" not in page.elements
    assert page.elements.count("style") == plain.elements.count("style") == 1
    assert set(page.elements) <= {*plain.elements, "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "br"}
    assert page.text.count(ATTACK) >= 8
    outside = re.sub(r"(?s)```sql.*?```", "", markdown.review(plan_review))
    assert "<script" not in outside
    assert outside.count("</details>") == outside.count("<details>") == 2


def test_invisible_characters_are_escaped(tmp_path: Path) -> None:
    """Text that runs backwards reads as something else than what runs, and an escape steers the terminal."""
    plan_review = made(tmp_path, {"V1.0.0-001__t": "select 'a\u202eb\x1b[2Jc\u200bd\te';"})
    written = r"select 'a\u202eb\u001b[2Jc\u200bd" + "\te';"
    assert written in shown(plan_review)
    assert written in markdown.review(plan_review)
    assert written in Page(html.review(plan_review)).text
    assert in_line("a\nb\udcff") == r"a\nb\udcff"


def test_the_page_loads_nothing_from_the_network(dangerous: Review) -> None:
    page = html.review(dangerous)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"https?:|url\(|@import|<script|<img|<link| src=| style=", page)


def test_the_page_shows_findings_beside_statements(dangerous: Review) -> None:
    page = html.review(dangerous)
    assert page.count('<div class="statement reads">') == 1
    assert page.count('<div class="statement reads doubt gone">') == 1
    assert page.count('<div class="statement writes">') == 2
    assert "each of 2 statements" in page  # the comments stand together
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))
    assert {"step-1", "step-2", "step-1-2", "step-1-6", "top"} <= anchors


def test_the_page_states_that_nothing_blocks_and_nothing_is_irreversible(tmp_path: Path) -> None:
    plan_review = made(tmp_path, {"V1.0.0-001__t.up": "create table t ();", "V1.0.0-001__t.down": "drop table t;"})
    page = html.review(plan_review)
    assert "No statement is known to block reads or writes." in page
    assert "No step is known to be irreversible." in page
    assert '<li class="quiet">locks no table</li>' in page


def test_without_pygments_the_error_shows_how_to_install_it(dangerous: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygments", None)
    with pytest.raises(ConfigurationError, match="pygments") as refused:
        html.review(dangerous)
    assert "pip install 'sqlmigrate[lint]'" in refused.value.hint


@pytest.mark.parametrize(
    ("sql", "lines", "kept", "more"),
    [
        ("a\nb", 2, "a\nb", ""),
        ("a\nb\nc", 2, "a\nb", "… 1 more line"),
        ("a\nb\n\nc\nd", 2, "a\nb", "… 3 more lines"),
        ("x" * 200, 1, "x" * 200, ""),
        ("x" * 500, 2, "x" * 400, "… 100 more characters"),
        ("x" * 500 + "\ny", 2, "x" * 400, "… 2 more lines"),
    ],
)
def test_a_long_statement_is_shortened(sql: str, lines: int, kept: str, more: str) -> None:
    found = summary.excerpt(ReviewedStatement(sql, 1), lines)
    assert (found.sql, found.more) == (kept, more)


def test_in_a_long_file_blocking_statements_are_shown(tmp_path: Path) -> None:
    values = "insert into t values (1);\n"
    plan_review = made(
        tmp_path, {"V1.0.0-001__t": values * 10 + "drop table old;\n" + values * 4000 + "drop table older;\n"}
    )
    for rendered in (shown(plan_review), markdown.review(plan_review), Page(html.review(plan_review)).text):
        assert "drop table older;" in rendered
        assert re.search(r"… \d+ more statements, without blocking locks or data loss", rendered)
        assert len(rendered) < 800_000
    assert "4012  drop table older;" in shown(plan_review)


def test_the_page_shows_how_many_lines_of_a_long_statement_are_omitted(tmp_path: Path) -> None:
    plan_review = made(tmp_path, {"V1.0.0-001__t": "select 1" + ",\n1" * 5000 + ";"})
    path = plan_review.steps[0].step.path
    assert f"… 4001 more lines in {path}" in html.review(plan_review)
    assert "\n-- … 4921 more lines\n" in markdown.review(plan_review)
    assert "\n       … 4961 more lines\n" in shown(plan_review)


def test_the_json_is_the_plan_file(dangerous: Review) -> None:
    found = json.loads(json.dumps(as_json.review(dangerous)))
    assert found.pop("findings") == []
    assert found.pop("digest") == dangerous.digest == plan_file.digest_of(found)
