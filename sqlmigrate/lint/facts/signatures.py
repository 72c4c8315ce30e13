"""The signatures of functions: the parameters that a call gives, and the result. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.schema.datatype import type_of
from sqlmigrate.sql.tree import bodies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.sql.parser import Node

_INPUTS = ("FUNC_PARAM_DEFAULT", "FUNC_PARAM_IN", "FUNC_PARAM_INOUT", "FUNC_PARAM_VARIADIC")
_OUTPUTS = ("FUNC_PARAM_OUT", "FUNC_PARAM_INOUT", "FUNC_PARAM_TABLE")


class Parameter(NamedTuple):
    """An input parameter of a function."""

    name: str
    type: str
    optional: bool


def inputs(function: Node) -> list[Parameter]:
    """Returns the input parameters of a function."""
    return [
        Parameter(body.get("name", ""), signature_type(body["argType"]), "defexpr" in body)
        for body in bodies(function, "parameters")
        if body["mode"] in _INPUTS
    ]


def signature_type(type_node: Node) -> str:
    """Returns a type as it counts in a function's signature: without modifiers and without schema."""
    type_ = type_of(type_node)
    return type_.name.rpartition(".")[2] + ("[]" if type_.array else "")


def result(function: Node) -> tuple[str, bool, tuple[str, ...]]:
    """Returns the type of the result, whether it is a set, and the names of its columns if it has several."""
    returned = function.get("returnType", {})
    outputs = (body for body in bodies(function, "parameters") if body["mode"] in _OUTPUTS)
    columns = tuple(body.get("name", "") for body in outputs)
    return signature_type(returned), bool(returned.get("setof")), columns if len(columns) > 1 else ()


def types_of(parameters: Sequence[Parameter]) -> list[str]:
    """Returns the types of parameters."""
    return [parameter.type for parameter in parameters]


def exact_types(function: Node) -> list[tuple[str, bool]]:
    """Returns the types of the input parameters as written, with their schemas, and whether each is an array."""
    types = [type_of(body["argType"]) for body in bodies(function, "parameters") if body["mode"] in _INPUTS]
    return [(type_.name, type_.array) for type_ in types]
