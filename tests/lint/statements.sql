create domain dplain as text; create domain dcheck as text check (value <> ''); create domain dvc as varchar(10); create type en as enum ('a'); create type comp as (a int);
create table p (id int primary key); insert into p values (1);
create table t (id int, v varchar(50), v2 varchar(50) check (v2 <> ''), tx text, c10 char(10), n numeric(10,2), nn numeric, ts timestamp(3), tz timestamptz(3), ti time(2), iv interval(2), ci cidr, ine inet, vb varbit(5), b bit(5), o oid, dp dplain, dc dcheck, dv dvc, va varchar(50)[], ta text[], x xml, j json, e en, i4 int, i8 bigint, r4 real, na name, iv2 interval day to second, vi varchar(50), vp varchar(50), ve varchar(50), by bytea, ivs interval second(2), fkv varchar(50), ts0 timestamp, tz0 timestamptz, bc bpchar, vcol varchar(50) collate "C", rg regclass, i2 smallint, vn varchar);
create index on t (vi); create index on t (id) where vp <> ''; create index on t (lower(ve)); insert into t (id) values (1);
set timezone to 'Europe/Berlin';
##
alter table t alter v type varchar(100)
alter table t alter v type varchar(20)
alter table t alter v type varchar(50)
alter table t alter v type varchar
alter table t alter v type text
alter table t alter v type text using v::text
alter table t alter v type text using (v)
alter table t alter v type text using v::varchar(20)::text
alter table t alter v type char(60)
alter table t alter v type bpchar
alter table t alter v type dplain
alter table t alter v type dcheck
alter table t alter v2 type text
alter table t alter v2 type varchar(100)
alter table t alter v2 type varchar(50)
alter table t alter tx type varchar
alter table t alter tx type varchar(50)
alter table t alter tx type dvc
alter table t alter tx type dplain
alter table t alter tx type bpchar
alter table t alter tx type xml using tx::xml
alter table t alter c10 type text
alter table t alter c10 type varchar(20)
alter table t alter c10 type char(20)
alter table t alter c10 type char(10)
alter table t alter c10 type bpchar
alter table t alter bc type text
alter table t alter bc type varchar
alter table t alter n type numeric(12,2)
alter table t alter n type numeric(12,3)
alter table t alter n type numeric(8,2)
alter table t alter n type numeric
alter table t alter n type numeric(10,2)
alter table t alter nn type numeric(30,10)
alter table t alter ts type timestamp(4)
alter table t alter ts type timestamp(2)
alter table t alter ts type timestamp
alter table t alter ts0 type timestamp(6)
alter table t alter ts0 type timestamp(3)
alter table t alter ts0 type timestamptz
alter table t alter tz0 type timestamp
set timezone='UTC'; alter table t alter ts0 type timestamptz
set timezone='UTC'; alter table t alter tz0 type timestamp
set timezone='UTC'; alter table t alter ts0 type timestamptz(3)
set timezone='UTC'; alter table t alter ts type timestamptz
set timezone='UTC'; alter table t alter ts0 type timestamptz using ts0 at time zone 'UTC'
set timezone='UTC'; alter table t alter ts0 type timestamptz using ts0::timestamptz
set timezone='Etc/UTC'; alter table t alter ts0 type timestamptz
set timezone='GMT'; alter table t alter ts0 type timestamptz
set timezone=0; alter table t alter ts0 type timestamptz
set timezone='Europe/London'; alter table t alter ts0 type timestamptz
alter table t alter ti type time(4)
alter table t alter ti type time
alter table t alter ti type time(1)
alter table t alter iv type interval(4)
alter table t alter iv type interval
alter table t alter iv type interval(1)
alter table t alter iv2 type interval
alter table t alter iv type interval day to second
alter table t alter ivs type interval
alter table t alter ivs type interval second(4)
alter table t alter ivs type interval(4)
alter table t alter ci type inet
alter table t alter ine type cidr
alter table t alter vb type varbit(10)
alter table t alter vb type varbit
alter table t alter vb type varbit(3)
alter table t alter b type bit(6)
alter table t alter b type varbit
alter table t alter b type varbit(5)
alter table t alter b type varbit(6)
alter table t alter o type int
alter table t alter i4 type oid
alter table t alter o type regclass
alter table t alter rg type oid
alter table t alter i4 type bigint
alter table t alter i8 type int
alter table t alter i2 type int
alter table t alter i8 type oid
alter table t alter r4 type float8
alter table t alter dp type text
alter table t alter dp type varchar
alter table t alter dc type text
alter table t alter dp type dcheck
alter table t alter dc type dplain
alter table t alter dv type varchar(20)
alter table t alter dv type varchar(10)
alter table t alter dv type varchar(5)
alter table t alter dv type text
alter table t alter va type varchar(100)[]
alter table t alter va type varchar[]
alter table t alter va type text[]
alter table t alter ta type varchar[]
alter table t alter ta type varchar(10)[]
alter table t alter x type text
alter table t alter x type varchar
alter table t alter j type jsonb
alter table t alter e type text
alter table t alter na type text
alter table t alter vi type varchar(100)
alter table t alter vi type text
alter table t alter vi type text collate "C"
alter table t alter v type text collate "C"
alter table t alter v type varchar(50) collate "C"
alter table t alter vcol type varchar(50)
alter table t alter vcol type text
alter table t alter vp type varchar(100)
alter table t alter ve type varchar(100)
alter table t alter ve type text
alter table t alter by type text using encode(by,'hex')
alter table t alter vn type varchar(10)
alter table t alter vn type text
---
create domain dplain as text; create domain dcheck as text check (value <> ''); create domain dnn as text not null default 'x';
create table r (id int primary key); insert into r values (1);
create table t (id int, a text, b text check (b is not null), c text, d text, e int not null); insert into t values (1,'a','b','c','d', 1);
create function vf() returns int language sql volatile as 'select 1'; create function imf() returns int language sql immutable as 'select 1';
alter table t add constraint c_nv check (c is not null) not valid; alter table t add constraint d_and check (d is not null and d <> '' and a is not null);
create unique index t_u on t (id); create unique index t_e on t (e);
##
alter table t alter b set not null
alter table t alter c set not null
alter table t alter d set not null
alter table t alter a set not null
alter table t alter id set not null
alter table t add x int default 1
alter table t add x int not null default 1
alter table t add x int not null default 1 check (x > 0)
alter table t add x int check (x > 0)
alter table t add x timestamptz default now()
alter table t add x date not null default current_date
alter table t add x timestamptz default clock_timestamp()
alter table t add x uuid default gen_random_uuid()
alter table t add x float default random()
alter table t add x int default vf()
alter table t add x int default imf()
alter table t add x serial
alter table t add x int generated always as identity
alter table t add x int generated always as (id + 1) stored
alter table t add x int generated always as (id + 1) virtual
alter table t add x int generated always as (id + 1) virtual not null
alter table t add x int generated always as (id + 1) virtual check (x > 0)
alter table t add x dplain
alter table t add x dcheck
alter table t add x dnn
alter table t add x dplain default 'a'
alter table t add x dcheck default 'a'
alter table t add x int unique
alter table t add x int references r
alter table t add x int default 1 references r
alter table t add x int default null references r
alter table t add x int default null
alter table t add x int, add constraint f foreign key (x) references r
alter table t add x int, add constraint f foreign key (x) references r not valid
alter table t add x int references r, add constraint f foreign key (id) references r not valid
alter table t add constraint f foreign key (id) references r
alter table t add constraint f foreign key (id) references r not enforced
alter table t add constraint k check (id > 0)
alter table t add constraint k check (id > 0) not valid
alter table t add constraint k check (id > 0) not enforced
alter table t add constraint p primary key using index t_u
alter table t add constraint p primary key using index t_e
alter table t add constraint p unique using index t_u
alter table t add not null a
alter table t add not null a not valid
alter table t add constraint nn not null b
alter table t add constraint nn not null c not valid; alter table t validate constraint nn
alter table t add constraint z check (id > 0) not valid; alter table t validate constraint z
alter table t add constraint f foreign key (id) references r not valid; alter table t validate constraint f
alter table t add primary key (e)
alter table t add primary key (id)
alter table t set logged
alter table t set unlogged
alter table t set access method heap
alter table t set tablespace pg_default
alter table t alter e drop not null
alter table t add constraint ex exclude using btree (id with =)
alter table t alter e add generated always as identity
alter table t alter e set default 4
alter table t set (fillfactor = 50)
alter table t replica identity full
alter table t alter a set storage external
alter table t alter a set statistics 100
alter domain dplain add check (value <> '')
alter table t add x text default 'a' || random()
alter table t add x text default md5('a')
alter table t add x timestamptz default now() + interval '1 day'
alter table t add x timestamp default timezone('utc', now())
alter table t add x text[] default array['a']
alter table t add x text default current_user
alter table t add x text default to_char(now(), 'YYYY')
alter table t add x date default 'now'
alter table t add x date default ('now'::text)::date
alter table t add x text collate "C" default 'x'
---
create table p (id int, k int) partition by range (id); create table d partition of p default; create table p1 partition of p for values from (0) to (10); insert into d values (100);
create table q (id int, k int); insert into q values (15); create table qc (id int, k int, check (id is not null and id >= 20 and id < 30)); insert into qc values (25); create table qd (id int not null, k int, check (id >= 20 and id < 30)); insert into qd values (25);
create table pl (id int, k text) partition by list (k); create table l1 (id int, k text, check (k is not null and k = 'a')); create table l2 (id int, k text, check (k in ('a')));  create table l3 (id int, k text not null, check (k in ('a','b'))); create table l4 (id int, k text);
create table pr (id int primary key); create table pi (id int primary key) partition by range (id); create table pi1 (id int); create table pi2 (id int primary key); create table pi3 (id int not null, unique (id));
create table pj (id int not null, k int references pr) partition by range (id); create index on pj (k); create table pj1 (id int not null, k int references pr, check (id >= 0 and id < 10)); create index on pj1 (k); create table pj2 (id int not null, k int, check (id >= 0 and id < 10)); create table pj3 (id int not null, k int references pr, check (id >= 0 and id < 10)); create index on pj3 (k, id);
create table ph (id int) partition by hash (id); create table h1 (id int);
##
alter table p attach partition q for values from (10) to (20)
alter table p attach partition qc for values from (20) to (30)
alter table p attach partition qd for values from (20) to (30)
alter table p attach partition qd for values from (15) to (30)
alter table p attach partition qd for values from (15) to (40)
create table n partition of p for values from (40) to (50)
alter table p detach partition d; alter table p attach partition qc for values from (20) to (30)
alter table p detach partition d; alter table p attach partition d default
alter table pl attach partition l1 for values in ('a')
alter table pl attach partition l2 for values in ('a')
alter table pl attach partition l3 for values in ('a','b')
alter table pl attach partition l4 default
alter table pi attach partition pi2 for values from (0) to (10)
alter table pi attach partition pi3 for values from (0) to (10)
alter table pj attach partition pj1 for values from (0) to (10)
alter table pj attach partition pj2 for values from (0) to (10)
alter table pj attach partition pj3 for values from (0) to (10)
alter table ph attach partition h1 for values with (modulus 2, remainder 0)
create index on only p (id)
create index on p (id)
---
create table r (id int primary key, code varchar(10) unique); insert into r values (1,'a');
create table c (rid int references r, rcode varchar(10) references r(code), n int); insert into c values (1,'a');
create table par (id int, v varchar(10)) partition by range (id); create table par1 partition of par for values from (0) to (10); insert into par values (1,'a');
create table inh (id int, v varchar(10)); create table inh1 () inherits (inh); insert into inh1 values (1,'a');
create type en as enum ('a'); create domain dpos as int check (value > 0); create domain dfree as int; create table ud (a dfree, b dpos, e en, ea en[]); insert into ud values (1,1,'a','{a}');
create table w (a int, b text, d date, ts timestamptz, s int generated always as (a*2) stored, check (a > 0) not valid); insert into w(a,b) values (1,'x');
create unique index w_a on w (a); create table trig (a int, b varchar(5)); create function tf() returns trigger language plpgsql as 'begin return new; end'; create trigger tr before update of b on trig for each row execute function tf(); insert into trig values (1,'x');
create unlogged table ul (a int); insert into ul values (1); create table vl (a varchar(10)); insert into vl values ('a'); create statistics st on a, b from w;
create table pkn (a int not null, b int); insert into pkn values (1,1); create unique index pkn_a on pkn (a); create unique index pkn_ab on pkn (a,b);
create table idt (a bigint not null, b smallint generated always as identity); insert into idt values (1);
create function stf() returns int stable language plpgsql as 'begin return 1; end'; create function vlf() returns int language plpgsql as 'begin return 1; end';
create table nnv (a int, b int, c int, check (a is not null or b is not null), check ((b is not null) and (c is not null)));  insert into nnv values (1,1,1);
set timezone to 'Europe/Berlin';
##
alter table r alter code type varchar(20)
alter table r alter code type text
alter table c alter rcode type varchar(20)
alter table c alter rcode type text
alter table par alter v type varchar(20)
alter table par alter v type varchar(5)
alter table par add column x int default 1
alter table par add column x uuid default gen_random_uuid()
alter table par alter v set not null
alter table par add check (id >= 0)
alter table inh alter v type varchar(20)
alter table inh alter v set not null
alter table ud alter e type text
alter table ud alter ea type text[]
alter domain dfree add constraint x check (value > 0)
alter table ud alter a type dpos
alter table ud alter a type int
alter table ud alter b type int
alter table ud alter b type dfree
alter table ud add column z dpos[]
alter table ud add column z en default 'a'
alter table w alter b type varchar
alter table w alter d type timestamptz
alter table w alter ts type timestamptz(3)
alter table w alter ts type date
alter table w alter s set expression as (a*4)
alter table w alter s drop expression
alter table w add constraint k check (a is not null), alter a set not null
alter table w alter a set not null, alter b type varchar
alter table w validate constraint w_a_check
alter table w validate constraint w_a_check, alter b set statistics 100
alter table w add x int default stf()
alter table w add x int default vlf()
alter table w add x int default 1, add y text default 'a' not null
alter table w add x int generated by default as identity
alter table w add unique (b, d)
alter table w add constraint q unique using index w_a
alter table trig alter a type bigint
alter table ul set logged
alter table ul set unlogged
alter table vl alter a type varchar(20), alter a set not null
alter table vl alter a type varchar(20), alter a set default 'x'
alter table vl alter a set data type varchar(20)
alter table vl alter a type character varying(10)
alter table vl alter a type char varying
alter table vl alter a type text using upper(a)
alter table vl alter a type text using a::varchar(5)
alter table vl alter a type varchar(20) using a::text
alter table vl alter a type varchar(20) using a::varchar(20)
alter table vl alter a type varchar(20) using vl.a
alter table vl alter a type text using coalesce(a,'')
alter table pkn add primary key using index pkn_a
alter table pkn add constraint p primary key using index pkn_ab
alter table pkn add primary key (a)
alter table idt alter b type int
alter table idt alter a add generated by default as identity
alter table idt alter b drop identity
alter table idt alter b set generated by default
alter table nnv alter a set not null
alter table nnv alter b set not null
alter table nnv alter c set not null
alter table nnv add constraint zz check (a > 0) not valid, validate constraint zz
alter table nnv add check (a > 0), add check (b > 0) not valid
create index on only par (id)
create index on par (id)
create index on nnv (a)
create unique index on nnv (a) where b > 0
reindex table w
cluster w using w_a
alter table par detach partition par1
alter table w drop column b
alter table w rename to w2
alter table w rename b to b2
alter table w add column z int
alter table w alter b set default 'x'
alter table w enable row level security
alter table w disable trigger all
alter table w owner to current_user
alter table w cluster on w_a
create policy own on w using (true)
create trigger tw before insert on w for each row execute function tf()
drop trigger tr on trig
truncate w
lock table w in share mode
lock table w
alter table c add constraint f2 foreign key (n) references r not valid
alter table c drop constraint c_rid_fkey
alter table c drop column rid
alter table c alter rid type bigint
alter table c rename constraint c_rid_fkey to f3
alter table inh1 no inherit inh
comment on table w is 'x'
alter table w alter b set storage plain
alter table w alter b set compression pglz
alter table w set (autovacuum_enabled = false)
alter table w add x text generated always as (b || 'x') stored
alter table w add x int constraint xc check (x > 0) default 5
alter table w add x json, add y jsonb default '{}'
alter table w add x timestamptz default '2020-01-01'
alter table w add x text default current_setting('TimeZone')
alter table w add x bigint default txid_current()
alter table w add x timestamptz default transaction_timestamp()
alter table w add x timestamptz default statement_timestamp()
alter table w add x text default timeofday()
alter table w add x bigint default extract(epoch from now())
alter table w add x bigint default (extract(epoch from clock_timestamp()) * 1000)::bigint
alter table w add x date default now()::date
alter table w add x text default upper('a') || lower('B')
alter table w add x int default length('abc') + 1
alter table w add x text default substr(md5(random()::text), 1, 5)
alter table w add x int[] default '{}'::int[]
alter table w add x text default concat('a', 'b')
alter table w add x uuid default uuidv7()
alter table w add x interval default make_interval(days => 1)
alter table w add x timestamp default (now() at time zone 'utc')
alter table w add x timestamp default localtimestamp
alter table w add x text default session_user
alter table w add x numeric default round(1.5) + abs(-1)
alter table w add x jsonb default jsonb_build_object('a', 1)
alter table w add x boolean default true check (x)
---
create sequence sq; create domain dfn as uuid default gen_random_uuid(); create domain dconst as int default 1; create domain dnow as timestamptz default now(); create domain dser as bigint default nextval('sq'); create domain dover as dfn; create domain dlate as float; alter domain dlate set default random(); create domain dgone as float default random(); alter domain dgone drop default; create domain dself as dfn default 'f0000000-0000-0000-0000-000000000000'; create function fv() returns int language plpgsql volatile as 'begin return 1; end'; create domain dfun as int default fv();
create table w (a int); insert into w values (1);
##
alter table w add x dfn
alter table w add x dfn default null
alter table w add x dfn default 'f0000000-0000-0000-0000-000000000000'
alter table w add x dover
alter table w add x dover not null
alter table w add x dconst
alter table w add x dconst not null
alter table w add x dnow
alter table w add x dser
alter table w add x dser default 1
alter table w add x dfn[]
alter table w add x dlate
alter table w add x dgone
alter table w add x dself
alter table w add x dfun
---
create domain da as int; create domain db as da; create domain dv as int; alter domain dv add constraint c check (value > 0) not valid;
create table w (a db, v dv); insert into w values (1, 1);
##
alter domain da add constraint x check (value > 0)
alter domain da set not null
alter domain da add constraint x check (value > 0) not valid
alter domain db add constraint x check (value > 0)
alter domain da set default 1
alter domain dv validate constraint c
---
create table vk (a int);
alter table vk add constraint vk_nn check (a is not null) not valid;
insert into vk values (1);
##
alter table vk validate constraint vk_nn, alter a set not null;
alter table vk validate constraint vk_nn, alter a set not null, add b int;
