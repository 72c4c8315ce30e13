"""The types that TypeNames mean in a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.datatype import BUILT_IN, type_of

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog
    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node


def type_in(catalog: Catalog, node: Node) -> Type:
    """Returns the type of a TypeName, with its schema if a file creates it: a later search_path may have another."""
    type_ = type_of(node)
    if type_.name in BUILT_IN or "." in type_.name:
        return type_
    name = catalog.resolve(("", type_.name), catalog.types)
    return type_._replace(name=".".join(name)) if name in catalog.types else type_
