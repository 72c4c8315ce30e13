"""The part of psql that decides what a script sends: its meta-commands and its variables. Pure.

The rules are those of psqlscanslash.l and command.c of PostgreSQL 18.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class ClientState(NamedTuple):
    """What psql would know of the session at the start of a script.

    `escapes` is true if standard_conforming_strings is off. `variables` are those that psql sets from the connection.
    `observed` are the values of `escapes` that the server has reported, by the line and column of the next statement.
    """

    escapes: bool
    variables: Mapping[str, str]
    server_encoding: str = "UTF8"
    observed: tuple[tuple[int, int, bool], ...] = ()


# A script that is only checked has no connection; the values are as good as any other.
UNCONNECTED = ClientState(
    escapes=False,
    variables={
        "DBNAME": "dbname",
        "USER": "username",
        "HOST": "localhost",
        "PORT": "5432",
        "ENCODING": "UTF8",
        "SERVER_VERSION_NAME": "18.0",
        "SERVER_VERSION_NUM": "180000",
    },
)

# The other variables that psql sets: a reference to one of them is never just text.
_SET_BY_PSQL = (
    "AUTOCOMMIT COMP_KEYWORD_CASE ECHO ECHO_HIDDEN ERROR FETCH_COUNT HIDE_TABLEAM HIDE_TOAST_COMPRESSION "
    "HISTCONTROL HISTFILE HISTSIZE IGNOREEOF LAST_ERROR_MESSAGE LAST_ERROR_SQLSTATE ON_ERROR_ROLLBACK ON_ERROR_STOP "
    "PIPELINE_COMMAND_COUNT PIPELINE_RESULT_COUNT PIPELINE_SYNC_COUNT PROMPT1 PROMPT2 PROMPT3 QUIET ROW_COUNT "
    "SERVICE SERVICEFILE SHELL_ERROR SHELL_EXIT_CODE SHOW_ALL_RESULTS SHOW_CONTEXT SINGLELINE SINGLESTEP SQLSTATE "
    "VERBOSITY VERSION VERSION_NAME VERSION_NUM WATCH_INTERVAL"
)

# Commands that change nothing that is sent to the server.
_PASSED_OVER = re.compile(
    r"a|C|conninfo|copyright|echo|errverbose|f|h|help|H|html|o|out|p|print|pset|qecho|restrict|s|setenv|t|T|timing"
    r"|unrestrict|warn|x|\?"
    r"|(?:d(?:A[cfop]?|[tvmisE]+|e[stuw]|f[antpw]*|F[dpt]?|P[tin]*|R[ps]|dp|rds|rg|config|[bcCdDglLnoOpTuxXy])?"
    r"|l|list|lo_list|sf|sv|z)[S+x]*"
)
_WHOLE_LINE = re.compile(r"!|copy|help|h|sf\+?|sv\+?|ef|ev")
_QUITS = frozenset(("q", "quit"))
# `\g` ends a statement as a semicolon does, unless it writes a file; options are in parentheses.
_SENDS = frozenset(("g", "gx"))
_OPTIONS = re.compile(r"(?:\(.*\))?")

_END_WITH_SEMICOLON = "end the statement with a semicolon instead"
_INCLUDE = "copy the included SQL into this file, or into another migration"
_CONNECT = "a migration runs in one database; migrate the other database in another run"
_CONDITION = "use a DO block with IF, or write two migrations"
_PARAMETERS = "write the values into the statement, or use PREPARE and EXECUTE"
_PIPELINE = "remove it; sqlmigrate sends a script in few messages"
_EDIT = "write the SQL into the file"
_FILE = "remove it; a migration does not write files"
_VARIABLE_NAME = "name a variable with letters, digits and underscores"
_PROGRAM = "run the program before or after sqlmigrate"
_INSTEAD = {
    "!": _PROGRAM,
    ".": r"\. ends COPY data: remove it, or add COPY … FROM stdin before the data",
    ";": "write ; without a backslash",
    ":": "write : without a backslash",
    "bind": _PARAMETERS,
    "bind_named": _PARAMETERS,
    "c": _CONNECT,
    "cd": r"remove it; \i and \copy, which depend on it, are not supported",
    "close_prepared": "use DEALLOCATE",
    "connect": _CONNECT,
    "copy": r"use COPY … FROM stdin with the data after it, terminated by \.",
    "crosstabview": _END_WITH_SEMICOLON,
    "e": _EDIT,
    "edit": _EDIT,
    "ef": _EDIT,
    "elif": _CONDITION,
    "else": _CONDITION,
    "encoding": "save the file as UTF-8",
    "endif": _CONDITION,
    "endpipeline": _PIPELINE,
    "ev": _EDIT,
    "flush": _PIPELINE,
    "flushrequest": _PIPELINE,
    "g": r"end the statement with a semicolon; \g without arguments may end a statement that has no semicolon",
    "gdesc": "remove it together with its query, which psql does not run",
    "getenv": r"write the value into the file, or use \set",
    "getresults": _PIPELINE,
    "gexec": "use a DO block with EXECUTE: do $$ declare s text; begin for s in QUERY loop execute s; end loop; end $$",
    "gset": "use the query where its result is needed, or a DO block with SELECT … INTO",
    "gx": r"end the statement with a semicolon; \gx without arguments may end a statement that has no semicolon",
    "i": _INCLUDE,
    "if": _CONDITION,
    "include": _INCLUDE,
    "include_relative": _INCLUDE,
    "ir": _INCLUDE,
    "lo_export": _FILE,
    "lo_import": "use lo_from_bytea",
    "lo_unlink": "use select lo_unlink(…)",
    "o": _PROGRAM,
    "out": _PROGRAM,
    "parse": "use PREPARE and EXECUTE",
    "password": "use ALTER ROLE … PASSWORD with a verifier that was computed elsewhere",
    "prompt": r"write the value into the file, or use \set",
    "r": "remove it together with the statement that it discards",
    "reset": "remove it together with the statement that it discards",
    "sendpipeline": _PIPELINE,
    "set": "remove it; sqlmigrate itself decides where transactions and statements end",
    "startpipeline": _PIPELINE,
    "syncpipeline": _PIPELINE,
    "w": _FILE,
    "watch": _END_WITH_SEMICOLON,
    "write": _FILE,
}
_UTF8 = frozenset(("utf8", "unicode"))
# Settings of psql that change what it sends, unless they are off.
_DIVIDES = frozenset(("SINGLELINE", "SINGLESTEP"))
_OFF = frozenset(("off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"))


class MetaCommand(NamedTuple):
    """A meta-command: its name without the backslash, its arguments, and the offset after it in the text.

    `runs_program` means that an argument is in backquotes, or is a pipe.
    """

    name: str
    arguments: tuple[str, ...]
    end: int
    runs_program: bool = False

    @property
    def quits(self) -> bool:
        """Whether psql ignores the rest of the file."""
        return self.name in _QUITS and not self.runs_program

    @property
    def sends(self) -> bool:
        """Whether the command ends a statement as a semicolon does."""
        return self.name in _SENDS and _OPTIONS.fullmatch(" ".join(self.arguments)) is not None

    @property
    def hint(self) -> str | None:
        r"""What to write instead of an unsupported command; None for a command that is honoured or passed over.

        The `\g` of `sends` is unsupported, unless it ends a statement.
        """
        if self.runs_program:
            return _PROGRAM
        if self.name in ("set", "unset"):
            is_named = not self.arguments or re.fullmatch(_NAME, self.arguments[0])
            return _VARIABLE_NAME if not is_named else None if _is_harmless(self) else _INSTEAD["set"]
        if self.name == "encoding":
            return None if not self.arguments or is_utf8(self.arguments[0]) else _INSTEAD["encoding"]
        if self.quits or _PASSED_OVER.fullmatch(self.name):
            return None
        return _INSTEAD.get(self.name, "write plain SQL")


def is_utf8(encoding: str) -> bool:
    """Whether a name is one of PostgreSQL's names of UTF-8: upper case, hyphens and underscores make no difference."""
    return re.sub(r"[^a-z0-9]", "", encoding.lower()) in _UTF8


def _is_harmless(command: MetaCommand) -> bool:
    r"""Whether `\set` or `\unset` does not change what psql sends; `\unset AUTOCOMMIT` switches it off."""
    name = (*command.arguments, "")[0]
    is_off = command.name == "unset" or "".join(command.arguments[1:]).lower() in _OFF
    return not is_off if name == "AUTOCOMMIT" else is_off or name not in _DIVIDES


_NAME = r"[^\x00-/:-@\[-^`{-\x7f]+"  # letters, digits and underscores, see `tokens`
_VARIABLE = re.compile(rf":(?:({_NAME})|'({_NAME})'|\"({_NAME})\"|\{{\?({_NAME})\}})")
_COMMAND_NAME = re.compile(r"\\(;|:|[^ \t\n\r\f\v\\]*)")
_BLANK = re.compile(r"[ \t\r\f\v]*")
_WHITE = " \t\n\r\f\v"
_PLAIN = re.compile(rf"[^{_WHITE}\\'\"`:]+")
_QUOTED = re.compile(r"'((?:[^'\\\n]|''|\\[^\n])*)'")
_ESCAPE = re.compile(r"''|\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "b": "\b", "r": "\r", "f": "\f"}


def unsupported(text: str) -> str:
    """Returns the message for a meta-command that sqlmigrate refuses."""
    name = f"\\{command_at(text, 0).name}"
    return f"psql meta-command {name} is not supported"


def command_at(text: str, at: int, variables: Mapping[str, str] | None = None) -> MetaCommand:
    r"""Reads the meta-command at an offset of a text, which contains the end of its line.

    It ends before the next command of its line, behind `\\`, or behind its line.
    """
    name = _COMMAND_NAME.match(text, at)
    assert name is not None  # noqa: S101  # the caller found the backslash
    at, line_end = name.end(), text.find("\n", at) + 1 or len(text)
    if name[1] in (";", ":"):
        return MetaCommand(name[1], (), at)
    if _WHOLE_LINE.fullmatch(name[1]):
        rest = text[at:line_end].strip()
        return MetaCommand(name[1], (rest,) if rest else (), line_end)
    arguments: list[str] = []
    runs_program = False
    while (at := _after_blank(text, at)) < line_end and text[at] not in "\n\\":
        if text[at] == "|" and name[1] in ("o", "out", "g", "gx", "w", "write"):
            return MetaCommand(name[1], (text[at:line_end].strip(),), line_end, runs_program=True)
        argument, at, has_backquotes = _argument(text, at, line_end, variables or {})
        arguments.append(argument)
        runs_program = runs_program or has_backquotes
    if text.startswith("\\\\", at):
        at += 2
    elif text.startswith("\n", at):
        at += 1
    return MetaCommand(name[1], tuple(arguments), at, runs_program)


def _after_blank(text: str, at: int) -> int:
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it also matches the empty string


def _argument(text: str, at: int, line_end: int, variables: Mapping[str, str]) -> tuple[str, int, bool]:
    """Returns the value of an argument, the offset after it, and whether a part of it is in backquotes."""
    parts: list[str] = []
    has_backquotes = False
    while at < line_end and text[at] not in _WHITE and text[at] != "\\":
        if plain := _PLAIN.match(text, at):
            parts.append(plain[0])
            at = plain.end()
        elif quoted := _QUOTED.match(text, at):
            parts.append(_ESCAPE.sub(_unescaped, quoted[1]))
            at = quoted.end()
        elif variable := _VARIABLE.match(text, at):
            value = value_of(variable, variables)
            parts.append(variable[0] if value is None else value)
            at = variable.end()
        else:
            end = text.find(text[at], at + 1, line_end) if text[at] in '"`' else at
            has_backquotes = has_backquotes or text[at] == "`"
            end = end + 1 if end >= at else len(text[:line_end].rstrip("\r\n"))  # an unterminated quote
            parts.append(text[at:end])
            at = max(end, at + 1)
    return "".join(parts), at, has_backquotes


def _unescaped(match: re.Match[str]) -> str:
    octal, hexadecimal, character = match.groups()
    if octal or hexadecimal:
        return chr(int(octal, 8) if octal else int(hexadecimal, 16))
    return _CONTROL.get(character, character) if character else "'"


def assigned(command: MetaCommand, variables: Mapping[str, str]) -> dict[str, str]:
    r"""Returns the variables after a command: `\set` and `\unset` change them."""
    if command.arguments and command.name == "set":
        return {**variables, command.arguments[0]: "".join(command.arguments[1:])}
    if command.arguments and command.name == "unset":
        return {name: value for name, value in variables.items() if name != command.arguments[0]}
    return dict(variables)


def variable_at(text: str, at: int) -> re.Match[str] | None:
    """Returns the reference to a variable at an offset: `:name`, `:'name'`, `:"name"` or `:{?name}`."""
    return _VARIABLE.match(text, at)


def value_of(reference: re.Match[str], variables: Mapping[str, str]) -> str | None:
    """Returns the text that replaces a reference to a variable; None if the variable is not set."""
    plain, literal, identifier, tested = reference.groups()
    if tested:
        return "TRUE" if tested in variables or tested in _SET_BY_PSQL.split() else "FALSE"
    value = variables.get(plain or literal or identifier)
    if value is None or plain:
        return value
    if identifier:
        return '"' + value.replace('"', '""') + '"'
    doubled = value.replace("'", "''")
    return " E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in value else f"'{doubled}'"


def is_only_text(reference: re.Match[str], tokens_before: Iterator[str]) -> bool:
    """Whether the server may accept a reference to a variable that is not set: in `a[1:x]` or `json_object('a':x)`.

    Args:
        reference: The reference.
        tokens_before: The tokens of the statement before it.
    """
    if (reference[1] or reference[2] or reference[3]) in _SET_BY_PSQL.split():
        return False
    openings, previous = [""], ""
    for word in tokens_before:
        if word in "([":
            openings.append(word if word == "[" else previous.lower())
        elif word in ")]" and len(openings) > 1:
            openings.pop()
        previous = word
    return openings[-1] in ("[", "json_object", "json_objectagg")


class Swap(NamedTuple):
    """A part of a script that is sent differently.

    `at` is its offset in the text that is sent, and `source` is its text in the file.
    """

    at: int
    source: str
    sent: str


def sent_text(text: str, swaps: Sequence[Swap]) -> str:
    """Returns the text to send for a text of a file."""
    parts: list[str] = []
    at = shift = 0
    for swap in swaps:
        start = swap.at + shift
        if start >= len(text):
            break
        parts += (text[at:start], swap.sent)
        at = start + len(swap.source)
        shift += len(swap.source) - len(swap.sent)
    return "".join(parts) + text[at:]


def source_text(text: str, swaps: Sequence[Swap]) -> str:
    """Returns the text of the file for the start of a sent text; a part of a replaced text stands for its start."""
    parts: list[str] = []
    at = 0
    for swap in swaps:
        end = swap.at + len(swap.sent)
        if end > len(text):
            return "".join(parts) + text[at : max(swap.at, at)]
        parts += (text[at : swap.at], swap.source)
        at = end
    return "".join(parts) + text[at:]
