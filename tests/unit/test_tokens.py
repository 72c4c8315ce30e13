"""The classes of characters that names consist of."""

import re
import sys

import pytest

from sqlmigrate.sql.tokens import LETTER, LETTER_OR_DIGIT, WORD

EVERY = [chr(number) for number in range(sys.maxunicode + 1)]


@pytest.mark.parametrize(
    ("pattern", "others"),
    [(LETTER, "_"), (LETTER_OR_DIGIT, "_0123456789"), (f"a(?:{WORD[len(LETTER) :]})", "_0123456789$")],
)
def test_ascii_letters_and_all_characters_beyond_ascii_are_letters(pattern: str, others: str) -> None:
    before = "a" if pattern.startswith("a") else ""
    matching = {character for character in EVERY if re.fullmatch(pattern, before + character)}
    assert matching == {each for each in EVERY if not each.isascii() or each.isalpha() or each in others}
