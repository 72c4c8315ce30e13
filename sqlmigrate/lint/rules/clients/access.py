"""Breaks clients or loses data: privileges and row-level security."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.usage import relation_decider, relation_in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.rules.clients.origin import at_end
from sqlmigrate.sql.tree import bodies, qualified, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Name

_POWERFUL = (
    *("pg_read_all_data", "pg_write_all_data", "pg_maintain", "pg_database_owner"),
    *("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"),
)
_MANY = ("ACL_TARGET_ALL_IN_SCHEMA", "ACL_TARGET_DEFAULTS")
_NARROW_GRANT = "grant only the privileges that are needed, and only to the roles that need them"


def _wide_grant(case: Case) -> Iterator[Hit]:
    node = case.node["action"] if case.kind == "AlterDefaultPrivilegesStmt" else case.node
    if not node.get("is_grant"):
        return
    if case.kind == "GrantRoleStmt":
        roles = (body.get("priv_name", "") for body in bodies(node, "granted_roles"))
        for role in (role for role in roles if role in _POWERFUL):
            yield Hit(f"{role} gives access regardless of the privileges on individual objects", _NARROW_GRANT)
        return
    if any(body["roletype"] == "ROLESPEC_PUBLIC" for body in bodies(node, "grantees")):
        yield Hit("PUBLIC includes every existing role and every role created later", _NARROW_GRANT)
    elif node["targtype"] in _MANY and "privileges" not in node and node["objtype"] == "OBJECT_TABLE":
        yield Hit("this grants ALL privileges on every table, including TRUNCATE and TRIGGER", _NARROW_GRANT)


WIDE_GRANT = Rule(
    name="wide-grant",
    level=Level.WARNING,
    on=("GrantStmt", "GrantRoleStmt", "AlterDefaultPrivilegesStmt"),
    stake="An attacker who obtains the credentials of one such role can read or change all of this data.",
    safe="grant select, insert on t to app;",
    check=_wide_grant,
    examples=(
        bad("grant select on t to public;"),
        bad("grant all on all tables in schema public to app;"),
        bad("alter default privileges grant all on tables to app;"),
        bad("grant all on schema s to app, public;"),
        bad("grant pg_write_all_data to app;"),
        good("grant select on t to app;"),
        good("grant select on all tables in schema s to app;"),
        good("grant all on t to app;"),
        good("revoke all on all tables in schema s from public;"),
        good("grant usage on all sequences in schema s to app;"),
        good("grant developers to ann;"),
    ),
)


def _row_security(case: Case) -> Iterator[Hit]:
    if case.kind == "DropStmt":
        yield from _last_policy(case)
        return
    yield Hit(
        f"{case.name[1]} has no policy, so only its owner sees its rows",
        f"create a policy on {case.name[1]} in the same transaction",
        relation_decider(case, case.name),
        unless=_is_open(case.name),
    )


def _is_open(name: Name) -> Callable[[Catalog], bool]:
    """Whether rows are visible at the end of the file: the table has a policy, or row-level security is disabled."""
    is_closed = at_end(name, lambda table: table.row_security and not table.policies)
    return lambda catalog: not is_closed(catalog)


def _last_policy(case: Case) -> Iterator[Hit]:
    for item in case.node["objects"] if case.node["removeType"] == "OBJECT_POLICY" else ():
        *table_name, policy = item["List"]["items"]
        table = case.catalog.table(qualified(table_name))
        if table is not None and table.row_security and [*table.policies] == strings([policy]) and not table.partial:
            yield Hit(
                f"{table.policies[0]} is the last policy of {table.name[1]}: without it, only the owner sees its rows",
                f"create another policy on {table.name[1]} in the same transaction",
                case.decider(table.created),
                unless=_is_open(table.name),
            )


_POLICY = "create table t (a int); alter table t enable row level security; create policy p on t using (true);"

ROW_SECURITY = Rule(
    name="row-security-without-policy",
    level=Level.WARNING,
    on=("AT_EnableRowSecurity", "DropStmt"),
    stake="Without a policy, every role except the owner sees an empty table, and its INSERTs fail.",
    safe="alter table t enable row level security;\ncreate policy p on t for all to app using (true);",
    check=_row_security,
    examples=(
        bad("alter table t enable row level security;"),
        bad("create table t (a int); alter table t enable row level security;"),
        bad("alter table t enable row level security; create policy p on u using (true);"),
        bad("alter table t enable row level security;", "create policy p on t using (true); drop policy p on t;"),
        bad("drop policy p on t;", _POLICY),
        good("alter table t enable row level security; create policy p on t using (true);"),
        good("create policy p on t using (true); alter table t enable row level security;"),
        good("alter table t enable row level security;", "create policy p on t using (true);"),
        good("alter table t enable row level security; drop table t;"),
        good("alter table t disable row level security; create policy p on t using (true);", "create table t (a int);"),
        good("alter table t force row level security;"),
        good("drop policy p on t; create policy p on t using (a > 0);", _POLICY),
        good("drop policy p on t;"),
    ),
)


def _row_security_off(case: Case) -> Iterator[Hit]:
    table = case.table
    is_off = table is not None and not table.partial and not table.row_security
    if case.state.down or is_off or not relation_in_use(case, case.name):
        return
    yield Hit(
        f"every role with SELECT on {case.name[1]} now sees all its rows",
        f"create a policy on {case.name[1]} for the role that must see all rows",
        relation_decider(case, case.name),
        unless=at_end(case.name, lambda table: table.row_security),
    )


ROW_SECURITY_OFF = Rule(
    name="row-security-off",
    level=Level.WARNING,
    on=("AT_DisableRowSecurity",),
    stake="The policies no longer apply: each role that may read the table sees the rows of all users or tenants.",
    safe="create policy p on t for select to auditor using (true);",
    check=_row_security_off,
    examples=(
        bad("alter table t disable row level security;"),
        bad("alter table t disable row level security;", _POLICY),
        good("create table t (a int); alter table t disable row level security;"),
        good("alter table t disable row level security;", "create table t (a int);"),
        good("alter table t disable row level security; alter table t enable row level security;"),
        good("alter table t no force row level security;"),
        down("alter table t disable row level security;", "alter table t enable row level security;"),
    ),
)

RULES = (WIDE_GRANT, ROW_SECURITY, ROW_SECURITY_OFF)
