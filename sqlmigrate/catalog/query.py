"""Builds the queries that read one kind of object: a query returns its identity, its parent and its properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# Objects of these schemas are the server's own. A user cannot create a schema whose name starts with pg_.
USER_SCHEMA = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
# Placeholders that `reading` fills in: the history tables, which are left out.
LEFT_OUT = "{left_out}"


class ObjectQuery(NamedTuple):
    """How to read objects of one kind.

    `source` is everything from FROM on. The values of `properties` are SQL expressions of type text; the object does
    not have the properties that are null. The values of `extra` are for `reading` alone.
    """

    kind: str
    identity: str
    source: str
    properties: Mapping[str, str]
    parent: str = "null"
    order: str = ""
    extra: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The text of the query."""
        order = f" order by {self.order}" if self.order else ""
        columns = [self.identity, self.parent, *self.properties.values(), *self.extra]
        return f"select {', '.join(columns)} {self.source}{order}"


def firing(enabled: str) -> str:
    """Returns when a trigger or rule fires, from a column such as tgenabled; null if it is as after its creation."""
    return f"case {enabled} when 'D' then 'disabled' when 'R' then 'replica' when 'A' then 'always' end"


def unless_member(catalog: str, oid: str) -> str:
    """Returns a condition that an object is not a member of an extension."""
    return (
        "not exists (select from pg_depend e where e.refclassid = 'pg_extension'::regclass and e.deptype = 'e'"
        f" and e.classid = '{catalog}'::regclass and e.objid = {oid})"
    )


def owner(column: str) -> str:
    """Returns the name of a role."""
    return f"pg_get_userbyid({column})"


def privileges(acl: str, kind: str, role: str) -> str:
    """Returns the sorted privileges, one a line; null if they are those of a new object."""
    default = _lines(f"acldefault('{kind}', {role})")
    return f"case when {acl} is not null then nullif({_lines(acl)}, {default}) end"


def _lines(acl: str) -> str:
    items = f'select string_agg(i::text, chr(10) order by i::text collate "C") from unnest({acl}) i'
    return f"coalesce(({items}), 'none')"


def comment(catalog: str, oid: str) -> str:
    """Returns the comment on an object that has no columns."""
    return (
        f"(select d.description from pg_description d where d.classoid = '{catalog}'::regclass"
        f" and d.objoid = {oid} and d.objsubid = 0)"
    )


def shared_comment(catalog: str, oid: str) -> str:
    """Returns the comment on an object of the whole server."""
    return (
        f"(select d.description from pg_shdescription d where d.classoid = '{catalog}'::regclass and d.objoid = {oid})"
    )


def options(column: str) -> str:
    """Returns the options of an object, sorted by name."""
    return f"(select string_agg(o, ', ' order by o collate \"C\") from unnest({column}) o)"


def qualified(catalog: str, prefix: str, oid: str) -> str:
    """Returns the qualified name of an object whose catalog has a name and a namespace; null for no object."""
    return (
        f"(select format('%I.%I', qn.nspname, q.{prefix}name) from {catalog} q"
        f" join pg_namespace qn on qn.oid = q.{prefix}namespace where q.oid = {oid})"
    )
