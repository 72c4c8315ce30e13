"""The files to lint: the files that the user names, without those that the settings exclude."""

from __future__ import annotations

import os
import re
from functools import cache, partial
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import git
from sqlmigrate.files.naming import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlmigrate.lint.settings import LintSettings

_git = partial(
    git.ask,
    what="what changed",
    hint="give --changed-since a commit or a branch; in CI, fetch the whole history (fetch-depth: 0)",
)
_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[[^]]+\]")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def select(named: Sequence[str], settings: LintSettings) -> list[str]:
    """Returns the files to lint, each once; for a directory, every `.sql` file below it.

    Raises:
        ConfigurationError: a file does not exist, or git fails.
    """
    found = dict.fromkeys(path for name in named for path in _files(name))
    changed = _changed(settings.changed_since) if settings.changed_since else None
    return [
        path
        for path in found
        if (changed is None or os.path.realpath(path) in changed) and _is_selected(path, settings)
    ]


def _files(name: str) -> Iterator[str]:
    if os.path.isfile(name):
        yield name
    elif os.path.isdir(name):
        for directory, below, files in os.walk(name):
            below[:] = sorted(directory for directory in below if not directory.startswith("."))
            yield from (
                os.path.join(directory, file)
                for file in sorted(files)
                if file.lower().endswith(".sql") and not file.startswith(".")
            )
    else:
        raise ConfigurationError(f"file {name!r} does not exist")


def _is_selected(path: str, settings: LintSettings) -> bool:
    name = parse_file_name(os.path.basename(path)) if settings.since else None
    if settings.since and name and name.version and name.version <= settings.since:
        return False
    if not settings.files and not settings.exclude:
        return True
    from_root = os.path.relpath(os.path.abspath(path), os.path.abspath(settings.root)).replace(os.sep, "/")
    return (not settings.files or _matches(from_root, settings.files)) and not _matches(from_root, settings.exclude)


def _matches(path: str, globs: Iterable[str]) -> bool:
    return any(_pattern(glob).fullmatch(path) for glob in globs)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """Globs work as in .gitignore: without a slash at any depth, a directory with all below it."""
    text = glob.removeprefix("./").rstrip("/")
    anywhere = "" if "/" in text else "(?:.*/)?"
    parts = zip(_PARTS.split(text), [*_PARTS.findall(text), ""], strict=True)
    return re.compile(
        anywhere + "".join(re.escape(plain) + _meaning(part) for plain, part in parts) + "(?:/.*)?", re.DOTALL
    )


def _meaning(part: str) -> str:
    return _MEANING.get(part, part.replace("[!", "[^"))


def _changed(reference: str) -> set[str]:
    """Returns the files that are new or changed since this branch left the reference."""
    root = _git("rev-parse", "--show-toplevel").rstrip("\n")
    base = _git("merge-base", "--end-of-options", reference, "HEAD").strip()
    differing = _git("diff", "--name-only", "-z", "--diff-filter=d", base, "--", ":/*.sql")
    new = _git("ls-files", "--others", "--exclude-standard", "-z", "--full-name", "--", ":/*.sql")
    return {os.path.realpath(os.path.join(root, path)) for path in (differing + new).split("\0") if path}
