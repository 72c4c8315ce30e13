"""The file of `stats`: the sizes of the tables of a database, as JSON."""

from __future__ import annotations

import json

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.server.sizes import IndexSize, Sizes, TableSize

VERSION = 1


def document(sizes: Sizes) -> dict[str, object]:
    """Returns the content of the file."""
    tables = [
        {
            "name": table.name,
            "rows": table.rows,
            "bytes": table.bytes,
            "row_width": table.width,
            "indexes": [index._asdict() for index in table.indexes],
        }
        for table in sizes.tables.values()
    ]
    return {
        "stats": VERSION,
        "database": sizes.database,
        "server_version": sizes.server_version,
        "taken_at": sizes.taken_at,
        "tables": tables,
    }


def read(path: str) -> Sizes:
    """Reads the file.

    Raises:
        ConfigurationError: The file cannot be read, or `stats` did not write it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise ConfigurationError(f'could not read statistics file "{path}": {reason}') from error
    try:
        tables = [
            TableSize(
                table["name"],
                table["rows"],
                int(table["bytes"]),
                table["row_width"],
                tuple(IndexSize(**index) for index in table["indexes"]),
            )
            for table in content["tables"]
        ]
        assert content["stats"] == VERSION  # noqa: S101  # caught below
        head = content["database"], content["server_version"], content["taken_at"]
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        hint = "write it with `sqlmigrate stats --out FILE`"
        raise ConfigurationError(f'"{path}" is not a statistics file', hint=hint) from error
    return Sizes(*head, {table.name: table for table in tables})
