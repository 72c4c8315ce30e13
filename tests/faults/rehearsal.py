"""A database with every kind of thing that uses sequences, and its state."""

from __future__ import annotations

import re
from typing import Any

from tests.project import Project

SHOP = """
create sequence numbers;
create sequence "Odd Numbers";
create table orders (id serial primary key, amount int);
create table lines (id int generated always as identity, order_id int references orders on delete cascade);
create table archive (id serial primary key, order_id int);
create table notes (at timestamptz);
create table events (id bigint default nextval('numbers'), at date) partition by range (at);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
create function take() returns bigint language sql as $$ select nextval('numbers') $$;
create procedure take_many() language plpgsql as $$ begin perform take(); insert into archive default values; end $$;
create function keep() returns trigger language plpgsql as
  $$ begin insert into archive (order_id) values (old.id); return new; end $$;
create trigger keep before update on orders for each row execute function keep();
create function forget() returns trigger language plpgsql as $$ begin perform take(); return old; end $$;
create trigger forget after delete on lines for each row execute function forget();
create view shown as select amount from orders;
create rule shown_insert as on insert to shown do instead insert into orders (amount) values (new.amount);
create function note() returns event_trigger language plpgsql as $$ begin perform take(); end $$;
create event trigger note on ddl_command_start execute function note();
insert into orders (amount) select g from generate_series(1, 100) g;
insert into lines (order_id) select id from orders;
"""
_KEY = re.compile(rb"^.(?:un)?restrict .*$", re.MULTILINE)  # differs each time
_SEQUENCES = "select format('%I.%I', schemaname, sequencename) from pg_sequences order by 1"
_TABLES = "select c.oid::regclass::text from pg_class c where relkind = 'r' and oid >= 16384 order by 1"


def state(project: Project) -> dict[str, Any]:
    """The schema, the number of rows of each table, and the position of each sequence."""
    found: dict[str, Any] = {"schema": _KEY.sub(b"", project.server.dump(project.database, "--schema-only"))}
    for (table,) in project.query(_TABLES):
        if "information_schema" not in table:
            found[table] = project.value(f"select count(*) from {table}")
    for (sequence,) in project.query(_SEQUENCES):
        found[sequence] = project.query(f"select last_value, is_called from {sequence}")
    return found
