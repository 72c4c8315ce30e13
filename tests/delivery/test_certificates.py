"""`make` installs packages behind a TLS proxy whose CA only the system's certificate store contains."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import ROOT

# A Python whose pip fails unless PIP_CERT is set, and whose uv writes down its environment.
PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then echo /system/certificates.pem; exit; fi
mkdir -p .venv/bin
cat >.venv/bin/pip <<'PIP'
#!/bin/sh
echo "pip $PIP_CERT" >>calls
[ -n "$PIP_CERT" ]
PIP
cat >.venv/bin/uv <<'UV'
#!/bin/sh
echo "uv $UV_SYSTEM_CERTS $UV_NATIVE_TLS" >>calls
UV
chmod +x .venv/bin/pip .venv/bin/uv
"""


def calls(directory: Path, **environment: str) -> list[str]:
    """Returns the calls of pip and uv that `make setup` runs in an otherwise empty environment."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, directory)
    python = directory / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    variables = {"PATH": os.environ["PATH"], "HOME": str(directory), **environment}
    command = ["make", "-s", "setup", f"PYTHON={python}"]
    subprocess.run(command, check=True, cwd=directory, env=variables)
    return (directory / "calls").read_text().splitlines()


def test_uv_uses_the_system_s_certificates_in_an_empty_environment(tmp_path: Path) -> None:
    assert calls(tmp_path)[-3:] == ["uv true true"] * 3


@pytest.mark.parametrize(
    ("environment", "variables"),
    [
        ({"UV_NATIVE_TLS": "false"}, "uv false false"),
        ({"UV_SYSTEM_CERTS": "false"}, "uv false true"),
    ],
)
def test_a_variable_of_the_user_is_not_overridden(tmp_path: Path, environment: dict[str, str], variables: str) -> None:
    assert calls(tmp_path, **environment)[-3:] == [variables] * 3


def test_pip_tries_again_with_the_system_s_certificates(tmp_path: Path) -> None:
    assert calls(tmp_path)[:2] == ["pip ", "pip /system/certificates.pem"]


def test_pip_uses_the_user_s_certificates_once(tmp_path: Path) -> None:
    pip = [call for call in calls(tmp_path, PIP_CERT="/company.pem") if call.startswith("pip")]

    assert pip == ["pip /company.pem"]


def test_only_make_starts_uv() -> None:
    """A script or a workflow that started uv itself would have to set its certificates too."""
    paths = ["scripts", ".github", "Dockerfile", "action.yml", ".ci"]
    lines = subprocess.run(
        ["git", "grep", "-nE", r"\buvx? ", "--", *paths], check=False, capture_output=True, text=True, cwd=ROOT
    ).stdout

    assert lines == ""
