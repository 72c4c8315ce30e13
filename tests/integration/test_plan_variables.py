"""A plan of a file that uses psql's variables: approved by another role, and run by the role for which it was made."""

from __future__ import annotations

import pytest

from tests.integration.test_approval import forged, ok, refused, release, reviewer
from tests.project import Project

__all__ = ["release", "reviewer"]

FILES = {
    "a literal": "comment on table orders is :'USER';",
    "an identifier": 'grant select on orders to :"USER";',
    "plain": "grant select on orders to :USER;",
    "by set": "\\set me :USER\ncomment on table orders is :'me';",
}


@pytest.mark.parametrize("sql", FILES.values(), ids=FILES)
def test_another_role_can_approve_it(release: Project, reviewer: str, sql: str) -> None:
    release.add(3, sql)
    ok(release, "plan", "--out", "plan.json")

    ok(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    ok(release, "migrate", "--env", "production", "--plan", "plan.json")

    assert release.versions()[-1] == ("v1.0.0-003", True)


@pytest.mark.parametrize("sql", FILES.values(), ids=FILES)
def test_another_role_cannot_run_it(release: Project, reviewer: str, sql: str) -> None:
    release.add(3, sql)
    ok(release, "plan", "--out", "plan.json")
    ok(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)

    message = refused(release, "migrate", "--plan", "plan.json", DATABASE_URL=reviewer)

    other = reviewer.partition("user=")[2].split()[0]
    user = release.value("select session_user")
    expected = f"the plan is out of date: it was made with psql variable USER = '{user}', but this is '{other}'"
    assert expected in message
    assert release.value("select to_regclass('orders') is null")


def test_other_sql_in_a_file_with_variables_is_still_refused(
    release: Project,
    reviewer: str,
) -> None:
    release.add(3, FILES["a literal"])
    ok(release, "plan", "--out", "plan.json")
    with forged(release) as content:
        content["steps"][0]["transactions"][0]["statements"][0]["sql"] = "select 1;"

    assert "plan-misleads" in refused(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
