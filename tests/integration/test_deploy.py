"""What lies in `deploy/` fits the program: its commands, its metrics, and the formats of others."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from kubernetes_validate import ValidationError, latest_version, validate

from sqlmigrate.cli import main
from tests.integration.test_audit import fill
from tests.project import Project
from tests.prometheus import read
from tests.servers import ROOT

pytestmark = pytest.mark.anywhere

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
UNITS = sorted((DEPLOY / "systemd").iterdir())
MANIFESTS = sorted((DEPLOY / "kubernetes").iterdir())
COMMAND = re.compile(r"(?:^|[\s(`=])(?:/opt/sqlmigrate/bin/)?(sqlmigrate [a-z][^`)\n]*)", re.MULTILINE)
PROGRAM = Path(sys.executable).with_name("sqlmigrate")


def loaded(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text()))


def strings(tree: object) -> Iterator[str]:
    match tree:
        case str():
            yield tree
        case dict():
            for value in tree.values():
                yield from strings(value)
        case list():
            for value in tree:
                yield from strings(value)


def expressions() -> Iterator[str]:
    for group in loaded(PROMETHEUS / "alerts.yml")[0]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    board = json.loads((DEPLOY / "grafana" / "sqlmigrate.json").read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    yield from (variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query")


def containers(manifest: Path) -> list[dict[str, Any]]:
    found = []
    for document in loaded(manifest):
        pod = document["spec"].get("template", {}).get("spec", {})
        found += [*pod.get("initContainers", []), *pod.get("containers", [])]
    return [container for container in found if "command" in container]


def commands() -> Iterator[list[str]]:
    texts = [path.read_text() for path in UNITS]
    texts += [re.sub(r" 2>.*", "", (DEPLOY / "cron" / "sqlmigrate").read_text())]
    texts += list(strings(loaded(PROMETHEUS / "alerts.yml")))
    for text in texts:
        yield from (shlex.split(command) for command in COMMAND.findall(text))
    for manifest in MANIFESTS:
        yield from (container["command"] for container in containers(manifest))


def test_each_command_exists() -> None:
    given = list(commands())
    assert {command[1] for command in given} >= {"migrate", "cleanup", "validate", "metrics", "history", "status"}
    for program, name, *arguments in given:
        assert program == "sqlmigrate"
        with main.commands[name].make_context(name, arguments, parent=click.Context(main)):
            pass


def test_each_metric_exists(project: Project) -> None:
    fill(project)
    there = {name.split()[0] for name in read(project)}
    used = {name for text in expressions() for name in re.findall(r"\bmigration_[a-z_]+", text)}
    assert used <= there
    assert {name.removesuffix("_sum").removesuffix("_count").removesuffix("_bucket") for name in there} == {
        name.removesuffix("_bucket") for name in used
    }


def test_alerts_describe_what_to_do() -> None:
    rules = loaded(PROMETHEUS / "alerts.yml")[0]["groups"][0]["rules"]
    assert {"MigrationFailure", "MigrationDurationHigh", "MigrationPending"} <= {rule["alert"] for rule in rules}
    assert all("`sqlmigrate " in rule["annotations"]["description"] for rule in rules)
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)


def test_the_dashboards_panels_do_not_overlap() -> None:
    board = json.loads((DEPLOY / "grafana" / "sqlmigrate.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_containers_have_no_privileges_and_no_passwords(path: Path) -> None:
    assert containers(path)
    for container in containers(path):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        given = {variable["name"]: variable["value"] for variable in container["env"]}
        assert "DB_PASSWORD" not in given
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert str(Path(given["DB_PASSWORD_FILE"]).parent) in mounts
    pods = [document["spec"]["template"]["spec"] for document in loaded(path) if "template" in document["spec"]]
    assert all(pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"] for pod in pods)
    names = {volume["name"] for pod in pods for volume in pod["volumes"]}
    assert {mount["name"] for container in containers(path) for mount in container["volumeMounts"]} <= names


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_match_the_schema_of_kubernetes(path: Path) -> None:
    filled_in = re.sub(r"\{\{.*?\}\}", "filled-in", path.read_text())  # as Helm does
    for document in yaml.safe_load_all(filled_in):
        validate(document, latest_version(), strict=True)
    document["spec"]["replica"] = 3
    with pytest.raises(ValidationError):
        validate(document, latest_version(), strict=True)


def test_crontab_lines_have_a_time_and_a_user() -> None:
    lines = (DEPLOY / "cron" / "sqlmigrate").read_text().splitlines()
    jobs = [line for line in lines if line and not re.match(r"#|[A-Z_]+=", line)]
    assert len(jobs) == 3
    for job in jobs:
        assert re.match(r"([\d*]+\s+){5}sqlmigrate\s+\S", job)
        assert "%" not in job  # cron's word for a new line


@pytest.mark.debian
def test_promtool_accepts_the_alerts() -> None:
    promtool = "/usr/bin/promtool"
    for arguments in (
        ("check", "rules", "alerts.yml"),
        ("check", "config", "--syntax-only", "scrape.yml"),
        ("test", "rules", "alerts_test.yml"),
    ):
        run = subprocess.run([promtool, *arguments], check=False, capture_output=True, text=True, cwd=PROMETHEUS)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.debian
def test_promtool_accepts_the_metrics(project: Project) -> None:
    fill(project)
    text = project.cli("metrics").stdout
    run = subprocess.run(
        ["/usr/bin/promtool", "check", "metrics"], check=False, capture_output=True, text=True, input=text
    )
    # promtool warns of the type in a metric name; here it distinguishes the histogram from a gauge of a similar name.
    assert [line for line in run.stderr.splitlines() if "metric name should not include type" not in line] == []
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.debian
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace("/opt/sqlmigrate/bin/sqlmigrate", str(PROGRAM))
        (tmp_path / unit.name).write_text(text)
    analyze = shutil.which("systemd-analyze") or "/usr/bin/systemd-analyze"
    run = subprocess.run(
        [analyze, "verify", *sorted(tmp_path.iterdir())], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_the_exporters_port_is_the_same_everywhere_and_no_other_exporters() -> None:
    """Prometheus's list of default ports gives 9100 to 9999 to other exporters: 9187 to postgres_exporter."""
    pages = [*ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md"), *DEPLOY.rglob("*.*ml"), *UNITS]
    served = {port for page in pages for port in re.findall(r"--serve\W+(?:\S*:)?(\d+)", page.read_text())}
    ports = [loaded(PROMETHEUS / "scrape.yml")[0]["scrape_configs"][0]["static_configs"][0]["targets"][0].split(":")[1]]
    for document in loaded(DEPLOY / "kubernetes" / "exporter.yaml"):
        ports += [str(value) for value in re.findall(r"'(?:containerPort|port)': (\d+)", str(document))]

    assert len(ports) == 3
    assert served == set(ports)
    assert not 9100 <= int(ports[0]) <= 9999


LOG = "/var/log/alertagent/migration.log"
LOGGING = [DEPLOY / "cron" / "sqlmigrate", *(DEPLOY / "systemd").glob("sqlmigrate-[mc]*.service")]


@pytest.mark.parametrize("path", [*LOGGING, DEPLOY / "compose" / "logs.yml"], ids=lambda path: path.name)
def test_a_job_writes_the_log_that_logrotate_rotates(project: Project, path: Path) -> None:
    project.add(1, "create table t (a int);")
    (setting,) = re.findall(r"(SQLMIGRATE_LOG_FILE)[=:] ?(\S+)", path.read_text())
    log = project.root / "log" / "migration.log"
    log.parent.mkdir()

    done = project.cli("migrate", **{setting[0]: setting[1].replace("/var/log/alertagent", str(log.parent))})

    assert setting[1] == LOG
    assert LOG in re.findall(r"^(\S+) \{$", (DEPLOY / "logrotate" / "sqlmigrate").read_text(), re.MULTILINE)
    assert done.returncode == 0, done.stderr
    assert "finished version=v1.0.0-001" in log.read_text()


@pytest.mark.debian
def test_logrotate_rotates_the_log_and_the_next_line_is_in_a_new_file(project: Project) -> None:
    log = project.root / "migration.log"
    configuration = project.root / "logrotate"
    configuration.write_text((DEPLOY / "logrotate" / "sqlmigrate").read_text().replace(LOG, str(log)))
    command = ["/usr/sbin/logrotate", "--force", "--state", str(project.root / "state"), str(configuration)]
    for number in (1, 2, 3):
        project.add(number, "select 1;")
        assert project.cli("migrate", SQLMIGRATE_LOG_FILE=str(log)).returncode == 0
        assert f"version=v1.0.0-{number:03d}" in log.read_text()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert not log.exists()

    assert "version=v1.0.0-003" in log.with_name("migration.log.1").read_text()
    assert sorted(path.name for path in project.root.glob("migration.log.*")) == [
        "migration.log.1",
        "migration.log.2.gz",
        "migration.log.3.gz",
    ]
