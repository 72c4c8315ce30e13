"""Runs the steps of a GitHub workflow locally: its commands unchanged, and a replacement for each action."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.servers import ROOT

# The command line of a GitHub runner's shell.
SHELL = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"]


def checkout(directory: Path) -> None:
    """Copies the tracked and the new files to a new repository."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    for name in names.split("\0"):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    subprocess.run(["git", "init", "-q"], check=True, cwd=directory)
    subprocess.run(["git", "add", "-A"], check=True, cwd=directory)


def nothing(_: Path) -> None:
    """Does nothing: the Python of the tests is used."""


USES: Mapping[str, Callable[[Path], None]] = {"actions/checkout": checkout, "actions/setup-python": nothing}


@dataclass(frozen=True)
class Run:
    """The directory, the environment and the `${{ … }}` values of the steps."""

    directory: Path
    environment: Mapping[str, str]
    values: Mapping[str, str]

    def steps(self, steps: list[dict[str, Any]], job_environment: Mapping[str, str]) -> str:
        output = ""
        for step in steps:
            if "uses" in step:
                USES[step["uses"].split("@")[0]](self.directory)
                continue
            environment = {**job_environment, **step.get("env", {})}
            variables = {name: self.filled(str(value)) for name, value in environment.items()}
            output += self.shell(self.filled(step["run"]), {**variables, **self.environment})
        return output

    def shell(self, script: str, environment: Mapping[str, str]) -> str:
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith(("SQLMIGRATE_", "DATABASE_"))}
        path = f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [*SHELL, script],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env={**inherited, "PATH": path, **environment},
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout + done.stderr

    def filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda match: self.values[match[1]], text)


def jobs(name: str) -> dict[str, Any]:
    jobs: dict[str, Any] = read(ROOT / ".github" / "workflows" / name)["jobs"]
    return jobs


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content
