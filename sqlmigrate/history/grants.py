"""Finds out which GRANT a role lacks on the history tables, and on their schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import DatabaseError
from sqlmigrate.history.tables import SUFFIXES

if TYPE_CHECKING:
    from sqlmigrate.history.tables import TableName
    from sqlmigrate.server.connection import Connection

_PAGE = "docs/security.md lists the privileges of each role"
# What each task needs on each table, in the order of SUFFIXES; docs/security.md has the same.
_NEEDS = {
    "to migrate": ("INSERT, UPDATE, DELETE", "INSERT", "INSERT, UPDATE", ""),
    "to approve": ("", "INSERT", "", ""),
    "for cleanup": ("", "INSERT, DELETE", "DELETE", "INSERT, UPDATE"),
}
_ROLE = "select pg_catalog.quote_ident(current_user), pg_catalog.quote_ident(pg_catalog.current_database())"
_LACKING = """
select pg_catalog.quote_ident(current_user), pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(%(table)s),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.has_schema_privilege(n.oid, 'CREATE'),
       array(select p.name from pg_catalog.unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p(name)
             where not pg_catalog.has_table_privilege(c.oid, p.name))
from pg_catalog.pg_namespace n
left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = %(table)s
where n.nspname = %(schema)s
"""


def advice(connection: Connection, table: TableName, message: str, *, by_script: bool) -> str:
    """Returns the hint for an error with SQLSTATE 42501; an empty string if it is about other tables.

    Args:
        connection: The connection that reported it.
        table: The history table.
        message: The server's message, in any language; it contains the name of the table or of the schema.
        by_script: Whether sqlmigrate's statement failed behind a script, which was rolled back since.
    """
    number = next((n for n in (3, 2, 1, 0) if f"{table.name}{SUFFIXES[n]}" in message), None)
    name = f"{table.name}{SUFFIXES[number or 0]}"
    try:
        if connection.in_transaction:
            connection.run("rollback")
        rows = connection.rows(_LACKING, {"schema": table.schema, "table": name})
    except DatabaseError:
        return ""
    if not rows:
        return ""
    role, schema, quoted_name, has_usage, _, lacking = rows[0]
    if not has_usage and table.schema in message:
        return f"run GRANT USAGE ON SCHEMA {schema} TO {role}, as the owner of the schema\n{_PAGE}"
    grants = [] if number is None else _grants(number, lacking)
    if not grants:
        return f"the script took privileges on {table} from the role that migrates: remove that statement" * by_script
    on = f"ON {schema}.{quoted_name} TO {role}"
    return "\n".join([*(f"run GRANT {rights} {on}, as the owner of the table{task}" for rights, task in grants), _PAGE])


def _grants(number: int, lacking: list[str]) -> list[tuple[str, str]]:
    """Returns the missing privileges on a table, with the tasks that need them."""
    if "SELECT" in lacking:
        return [("SELECT", "")]
    needs = ((task, rights[number].split(", ")) for task, rights in _NEEDS.items())
    tasks: dict[str, list[str]] = {}
    for task, rights in needs:
        if missing := ", ".join(right for right in rights if right in lacking):
            tasks.setdefault(missing, []).append(task)
    return [(missing, f", {' or '.join(of_them)}") for missing, of_them in tasks.items()]


def to_create(connection: Connection, table: TableName) -> str:
    """Returns the GRANT that a role lacks to create the history tables; an empty string if it is another privilege."""
    role, database = connection.rows(_ROLE)[0]
    rows = connection.rows(_LACKING, {"schema": table.schema, "table": table.name})
    if not rows:
        return f"GRANT CREATE ON DATABASE {database} TO {role}"
    _, schema, _, _, has_create, _ = rows[0]
    return "" if has_create else f"GRANT CREATE ON SCHEMA {schema} TO {role}"
