"""`rehearse --on target` is killed: the database is as it was."""

from __future__ import annotations

import random
import signal
import subprocess
import time

import pytest

from tests.faults.rehearsal import SHOP, state
from tests.polling import LIMIT, until
from tests.project import Project

CHANGES = """
insert into orders (amount) select g from generate_series(1, 20000) g;
select setval('numbers', 5000);
alter table archive alter order_id type bigint;
update orders set amount = amount + 1;
do $$ begin for i in 1..300 loop perform take(); end loop; end $$;
create table extra (id serial primary key);
insert into extra select from generate_series(1, 1000);
delete from orders where id % 7 = 0;
call take_many();
drop table notes;
"""


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("victim", ["client", "backend"])
def test_a_killed_rehearsal_leaves_the_target_as_it_was(project: Project, times: int, victim: str) -> None:
    project.add(1, SHOP)
    project.migrator().migrate()
    project.add(2, CHANGES)
    before = state(project)
    chance, killed = random.Random(7), 0
    for _ in range(times):
        running = project.start("rehearse", "--on", "target", "--yes")
        until(lambda running=running: project.backends("xact_start is not null") or running.poll() is not None)  # type: ignore[misc]  # bound now
        time.sleep(chance.random() * 0.3)
        killed += _kill(project, running, victim)
        running.communicate(timeout=LIMIT)
        until(lambda: not project.backends("true"))
        assert state(project) == before
    assert killed > times / 2


def _kill(project: Project, running: subprocess.Popen[str], victim: str) -> bool:
    """Kills the client, or ends its backends; returns whether it was still running."""
    was_running = running.poll() is None
    if victim == "client":
        running.send_signal(signal.SIGKILL)
    else:
        for pid in project.backends("application_name like 'sqlmigrate%'"):
            project.query(f"select pg_terminate_backend({pid})")
    return was_running
