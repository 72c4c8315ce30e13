-- A schema with all kinds of objects. The roles snap_a and snap_b exist.
create schema app; create schema "Odd Schema";
create type app.mood as enum ('sad', 'ok', 'happy');
create type app.pair as (x int, y text);
create domain app.positive as int default 1 check (value > 0);
create type app.span as range (subtype = float8, subtype_diff = float8mi);
create sequence app.numbers increment 2 start 10;
create table app.customers (
  id bigint generated always as identity primary key, name text not null, mood app.mood default 'ok',
  age app.positive, note varchar(20) collate "C", created timestamptz not null default now(),
  lower_name text generated always as (lower(name)) stored, constraint name_short check (length(name) < 100));
create table app.orders (
  id int primary key, customer bigint references app.customers, amount numeric(10, 2) not null default 0,
  place app.pair, tags text[], constraint once unique (customer, amount));
create table app.log (at timestamptz not null, line text, level int) partition by range (at);
create table app.log_1 partition of app.log for values from ('2026-01-01') to ('2026-02-01');
create table app.log_2 partition of app.log for values from ('2026-02-01') to ('2026-03-01');
create table app.base (a int, b text); create table app.derived (c int) inherits (app.base);
create table "Odd Schema"."Odd Table" ("Odd ""Column" int, "select" text);
create unlogged table app.scratchpad (a int, b int, c int);
create index by_name on app.customers (name); create index by_mood on app.customers (mood) where age > 3;
create index by_lower on app.customers (lower(name), created desc nulls last) include (id);
create index log_level on app.log (level); create index tags on app.orders using gin (tags);
create view app.happy as select id, name from app.customers where mood = 'happy';
create view app.totals as select c.name, sum(o.amount) as total from app.customers c join app.orders o on o.customer = c.id
  group by c.name;
create materialized view app.cached as select level, count(*) as n from app.log group by level;
create unique index cached_level on app.cached (level);
create function app.twice(a int) returns int language sql immutable as 'select a * 2';
create function app.twice(a text) returns text language sql as $$ select a || a $$;
create function app.touch() returns trigger language plpgsql as $$ begin return new; end $$;
create procedure app.work(a int) language sql as 'select 1';
create aggregate app.total(int) (sfunc = int4pl, stype = int, initcond = '0');
create trigger touched before update on app.customers for each row execute function app.touch();
create trigger inserted after insert on app.orders for each statement execute function app.touch();
create trigger logged after insert on app.log for each row execute function app.touch();
create rule quiet as on delete to app.scratchpad do instead nothing;
alter table app.orders enable row level security;
create policy own on app.orders using (customer = 1); create policy add on app.orders for insert to snap_a with check (true);
create statistics app.related on a, b from app.scratchpad;
create foreign data wrapper nothing; create server far foreign data wrapper nothing options (host 'far', port '1');
create foreign table app.away (a int, b text) server far options (name 'x');
create user mapping for snap_a server far;
create publication changes for table app.customers, app.orders;
create function app.on_ddl() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger seen on sql_drop execute function app.on_ddl();
create text search dictionary app.plain (template = simple); create text search configuration app.words (copy = simple);
create collation app.binary (provider = libc, locale = 'C');
create function app.mood_number(app.mood) returns int language sql immutable as 'select 1';
create cast (app.mood as int) with function app.mood_number(app.mood) as assignment;
create operator app.=== (leftarg = int, rightarg = int, function = int4eq);
create operator class app.ints for type int using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=,
  operator 5 >, function 1 btint4cmp(int, int);
create conversion app.latin for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
alter default privileges in schema app grant select on tables to snap_a;
grant usage on schema app to snap_a, snap_b; grant select, insert on app.customers to snap_a;
grant update (name) on app.customers to snap_b; grant execute on function app.twice(int) to snap_b;
comment on table app.customers is 'who buys'; comment on column app.customers.name is 'as they spell it';
comment on index app.by_name is 'for the search'; comment on schema app is 'the application';
