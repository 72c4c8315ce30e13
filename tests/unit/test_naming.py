from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import Version
from sqlmigrate.naming import Name, file_name, parse_file_name, parse_version

NUMBERS = st.integers(0, 10**9)
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
NAMES = st.text(st.characters(exclude_characters="\n/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.startswith(".")
)


@given(VERSIONS, NAMES, st.sampled_from(["up", "down"]))
def test_a_file_name_is_read_as_it_was_made(version: Version, name: str, direction: str) -> None:
    assert parse_file_name(file_name(version, name, direction)) == Name(str(version), version, name, direction)


@given(VERSIONS)
def test_a_version_is_read_as_it_is_shown(version: Version) -> None:
    assert parse_version(str(version)) == parse_version(str(version).upper()[1:]) == version


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_numbers(one: Version, other: Version) -> None:
    assert (one < other) == (list(one) < list(other))
    assert (one == other) == (str(one) == str(other))


@pytest.mark.parametrize(
    ("text", "version", "name", "direction"),
    [
        ("V2.0.0-001__create_alert_channels.up.sql", Version(2, 0, 0, 1), "create_alert_channels", "up"),
        ("v2.0.0-1__x.DOWN.SQL", Version(2, 0, 0, 1), "x", "down"),
        ("V10.20.30-1234__a.b.sql", Version(10, 20, 30, 1234), "a.b", ""),
        ("R__refresh views.sql", None, "refresh views", ""),
    ],
)
def test_a_migration_is_named_by_its_file(text: str, version: Version | None, name: str, direction: str) -> None:
    found = parse_file_name(text)
    assert found is not None
    assert (found.version, found.name, found.direction) == (version, name, direction)


@pytest.mark.parametrize(
    "text",
    [
        "create.sql", "V1.0-1__a.sql", "V1.0.0__a.sql", "V1.0.0-1_a.sql", "V1.0.0-1__.sql", "V1.0.0-1__.up.sql",
        "V1.0.0-1__.down.sql", "R__a.up.sql", "R__a.down.sql", "R__.sql", "V1.0.0-1__a.sql.bak", " V1.0.0-1__a.sql",
        "V1.0.0-1__a",
    ],
)  # fmt: skip
def test_any_other_file_is_misnamed(text: str) -> None:
    assert parse_file_name(text) is None


@pytest.mark.parametrize(("text", "identity"), [("V2.0.0-5__a.up.sql", "v2.0.0-005"), ("R__Views.sql", "R__Views")])
def test_the_history_knows_a_migration_by_version_or_name(text: str, identity: str) -> None:
    name = parse_file_name(text)
    assert name is not None
    assert name.id == identity


@pytest.mark.parametrize("text", ["v1.2.3-4", "1.2.3-4", "V01.2.3-0004", " 1.2.3-004 "])
def test_a_version_is_read_as_people_type_it(text: str) -> None:
    assert parse_version(text) == Version(1, 2, 3, 4)


@pytest.mark.parametrize("text", ["", "1.2.3", "latest", "v1.2.3-4x", "1.2.3-4-5", "-1.2.3-4"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a version") as caught:
        parse_version(text)
    assert "v2.0.0-001" in caught.value.hint
