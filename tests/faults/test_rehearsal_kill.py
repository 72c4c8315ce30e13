"""`rehearse --on target` is killed: the database is as it was."""

from __future__ import annotations

import random
import signal

import pytest

from tests.faults.rehearsal import SHOP, state
from tests.faults.test_kill import doomed
from tests.polling import LIMIT, until
from tests.project import Project

REHEARSE = ("rehearse", "--on", "target", "--yes")
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


@pytest.fixture
def shop(project: Project) -> Project:
    project.add(1, SHOP)
    project.migrator().migrate()
    project.add(2, CHANGES)
    return project


@pytest.mark.parametrize("times", [4, pytest.param(50, marks=pytest.mark.long)])
def test_a_killed_rehearsal_leaves_the_target_as_it_was(shop: Project, times: int) -> None:
    before = state(shop)
    chance = random.Random(7)
    codes = []
    for _ in range(times):
        codes.append(doomed(shop, chance.randint(1, 60), chance.choice(["due", "sent"]), REHEARSE))
        until(lambda: not shop.backends("true"))
        assert state(shop) == before
    assert codes.count(-signal.SIGKILL) > 0.9 * times


def test_a_rehearsal_whose_backend_is_terminated_leaves_the_target_as_it_was(shop: Project) -> None:
    before = state(shop)
    shop.add(3, "select pg_sleep(120);")
    running = shop.start(*REHEARSE)
    until(lambda: shop.backends("query like '%pg_sleep%'"))
    shop.query("select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(120)%'")
    running.communicate(timeout=LIMIT)
    assert running.returncode == 1
    assert state(shop) == before
