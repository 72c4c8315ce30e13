"""The psql variables whose values differ from those in a plan."""

from __future__ import annotations

import pytest

from sqlmigrate.planning.plan_file import ShownStep, ShownTransaction
from sqlmigrate.planning.variables import planned_values
from sqlmigrate.sql.item import Kind
from sqlmigrate.sql.psql import UNCONNECTED, ClientState
from sqlmigrate.sql.scanner import scan

NAMES = ("DBNAME", "USER", "HOST", "PORT", "ENCODING", "SERVER_VERSION_NUM")
FORMS = {
    "plain": "select a_:{0};",
    "literal": "select :'{0}', ':{0}';",
    "identifier": 'grant all on t to :"{0}";',
    "by set": "\\set me x_:{0}\nselect :'me';",
    "twice": "select :'{0}'; select :'{0}' || :\"{0}\";",
}


def shown(text: str, client: ClientState) -> list[ShownStep]:
    statements = [(item.line, item.text) for item in scan("", [text], client) if item.kind is Kind.STATEMENT]
    return [ShownStep("v1", "apply", [ShownTransaction("begin", statements)])]


def having(**values: str) -> ClientState:
    return UNCONNECTED._replace(variables={**UNCONNECTED.variables, **values})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_value_in_the_plan_is_read_from_its_sql(form: str, name: str) -> None:
    text = form.format(name)

    assert planned_values(shown(text, having(**{name: "other"})), lambda client: shown(text, client), UNCONNECTED) == {
        name: "other"
    }


@pytest.mark.parametrize("value", ["it's", 'a"b', "", "a b", "$1", "\u00e9", "(.*?)"])
@pytest.mark.parametrize("form", ["select :'USER', 1;", 'grant all on t to :"USER";'])
def test_any_value_is_read(form: str, value: str) -> None:
    assert planned_values(shown(form, having(USER=value)), lambda client: shown(form, client), UNCONNECTED) == {
        "USER": value
    }


@pytest.mark.parametrize(
    "planned", ["select 'x', 2;", "select 'a', 'b', 1;", "drop table t;", "select 'x', 1; select 1;"]
)
def test_a_plan_that_shows_other_sql_has_no_values(planned: str) -> None:
    text = "select :'USER', 1;"

    values = planned_values(shown(planned, UNCONNECTED), lambda client: shown(text, client), UNCONNECTED)

    assert values == {}


def test_one_variable_with_two_values_has_none() -> None:
    text = "select :'USER'; select :'USER';"

    values = planned_values(
        shown("select 'a'; select 'b';", UNCONNECTED), lambda client: shown(text, client), UNCONNECTED
    )

    assert values == {}
