"""A directory with files in it and the command line there, without a database."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests import inprocess
from tests.servers import ROOT

INDEX = "create index i on t (a);\n"


def environment(**more: str) -> dict[str, str]:
    ours = ("SQLMIGRATE_", "PG", "DB_", "DATABASE_URL", "GIT_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


class Scratch:
    """A directory with files in it, and the command line there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str = INDEX) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return inprocess.run(arguments, self.root, environment(**more))

    def json(self, *arguments: str, **more: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json", **more).stdout)

    def rules(self, *arguments: str, **more: str) -> list[tuple[str, str]]:
        findings = self.json("validate", *arguments, **more)["findings"]
        return [(finding["rule"], finding["level"]) for finding in findings]

    def environment(self) -> dict[str, str]:
        return environment()

    def git(self, *arguments: str) -> None:
        command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.root, env=environment())
