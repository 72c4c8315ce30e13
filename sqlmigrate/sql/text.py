"""SQL of sqlmigrate's own, with the number of results that the server returns for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL text, and how many results the server returns for it: one for each statement."""

    text: str = ""
    results: int = 0

    def __add__(self, following: Sql) -> Sql:
        return Sql(self.text + following.text, self.results + following.results)
