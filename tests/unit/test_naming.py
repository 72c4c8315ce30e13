from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files.naming import Bump, Name, file_name, following, is_migration, parse_file_name, parse_version, slug
from sqlmigrate.model import Version

NUMBERS = st.integers(0, 10**9)
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
NAMES = st.text(st.characters(exclude_characters="\n/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.startswith(".")
)


@given(VERSIONS, NAMES, st.sampled_from(["up", "down"]))
def test_a_generated_file_name_is_read_back(version: Version, name: str, direction: str) -> None:
    assert parse_file_name(file_name(version, name, direction)) == Name(str(version), version, name, direction)


@given(VERSIONS)
def test_a_displayed_version_is_read_back(version: Version) -> None:
    assert parse_version(str(version)) == parse_version(str(version).upper()[1:]) == version


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_numbers(first: Version, other: Version) -> None:
    assert (first < other) == (list(first) < list(other))
    assert (first == other) == (str(first) == str(other))


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
    assert is_migration(text)


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
    assert not is_migration(text)


@pytest.mark.parametrize(("text", "identity"), [("V2.0.0-5__a.up.sql", "v2.0.0-005"), ("R__Views.sql", "R__Views")])
def test_a_migration_is_identified_by_version_or_name(text: str, identity: str) -> None:
    name = parse_file_name(text)
    assert name is not None
    assert name.id == identity


@pytest.mark.parametrize("text", ["v1.2.3-4", "1.2.3-4", "V01.2.3-0004", " 1.2.3-004 "])
def test_a_version_is_accepted_in_common_spellings(text: str) -> None:
    assert parse_version(text) == Version(1, 2, 3, 4)


@pytest.mark.parametrize("text", ["", "1.2.3", "latest", "v1.2.3-4x", "1.2.3-4-5", "-1.2.3-4"])
def test_an_invalid_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a version") as caught:
        parse_version(text)
    assert "v2.0.0-001" in caught.value.hint


@pytest.mark.parametrize(
    ("bump", "version"),
    [
        (Bump.SEQUENCE, Version(2, 1, 3, 18)),
        (Bump.PATCH, Version(2, 1, 4, 1)),
        (Bump.MINOR, Version(2, 2, 0, 1)),
        (Bump.MAJOR, Version(3, 0, 0, 1)),
    ],
)
def test_a_number_is_incremented_and_the_numbers_after_it_restart(bump: Bump, version: Version) -> None:
    assert following([Version(1, 9, 9, 99), Version(2, 1, 3, 17), Version(2, 1, 3, 4)], bump) == version


@pytest.mark.parametrize(
    ("bump", "text"), [*zip(Bump, ["v1.0.0-001", "v0.0.1-001", "v0.1.0-001", "v1.0.0-001"], strict=True)]
)
def test_the_first_version_is_1_0_0_001(bump: Bump, text: str) -> None:
    assert str(following([], bump)) == text


@given(st.lists(VERSIONS), st.sampled_from(Bump))
def test_the_next_version_is_newer_than_all(versions: list[Version], bump: Bump) -> None:
    assert all(version < following(versions, bump) for version in versions)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("add_new_feature", "add_new_feature"),
        ("Add  new-feature!", "add_new_feature"),
        ("../../etc/passwd", "etc_passwd"),
        ("créer l’été", "creer_l_ete"),
        ("V2: ﬁx №5", "v2_fix_no5"),
    ],
)
def test_a_slug_is_made_from_text(text: str, name: str) -> None:
    assert slug(text) == name


@pytest.mark.parametrize(("text", "said"), [("添加 channels", "'添加' is not ASCII"), ("größe", "'ß' is not ASCII")])
def test_letters_without_an_ascii_form_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        slug(text)
    assert "--description" in caught.value.hint


@pytest.mark.parametrize("text", ["", "  ", "---", "…"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="contains no letter or digit"):
        slug(text)


@given(st.text())
def test_a_slug_is_a_valid_file_name(text: str) -> None:
    try:
        name = slug(text)
    except ConfigurationError:
        return
    assert slug(name) == name
    assert parse_file_name(file_name(Version(1, 0, 0, 1), name, "up")) is not None
