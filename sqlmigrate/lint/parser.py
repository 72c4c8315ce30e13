"""Moved to sqlmigrate.parser."""

from sqlmigrate.parser import Node, SyntaxFault, parse, parse_plpgsql

__all__ = ["Node", "SyntaxFault", "parse", "parse_plpgsql"]
