-- Channel groups: channels which are notified together or in turn.

create table channel_groups (
    id          bigint      generated always as identity,
    name        text        not null,
    description text        not null default '',
    strategy    text        not null default 'all',
    enabled     boolean     not null default true,
    created_by  text        not null,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),

    constraint channel_groups_pkey           primary key (id),
    constraint channel_groups_name_key       unique (name),
    constraint channel_groups_name_check     check (name <> ''),
    constraint channel_groups_strategy_check check (strategy in ('all', 'failover'))
);

create table channel_group_members (
    channel_group_id bigint      not null,
    channel_id       bigint      not null,
    sort_order       integer     not null,
    created_at       timestamptz not null default now(),

    -- Channel first: the unique constraint below already leads with the group.
    constraint channel_group_members_pkey                  primary key (channel_id, channel_group_id),
    -- Deferrable, so that two members can change places.
    constraint channel_group_members_sort_order_key        unique (channel_group_id, sort_order) deferrable initially immediate,
    constraint channel_group_members_channel_group_id_fkey foreign key (channel_group_id) references channel_groups (id) on delete cascade,
    -- A group must not fall silent because somebody deleted its last channel.
    constraint channel_group_members_channel_id_fkey       foreign key (channel_id) references alert_channels (id) on delete restrict,
    constraint channel_group_members_sort_order_check      check (sort_order > 0)
);

comment on table  channel_groups             is 'Groups of channels, the usual target of a rule.';
comment on column channel_groups.id          is 'Surrogate key.';
comment on column channel_groups.name        is 'Name shown to people, unique.';
comment on column channel_groups.description is 'What the group is for.';
comment on column channel_groups.strategy    is 'all: notify every member; failover: the first one which accepts.';
comment on column channel_groups.enabled     is 'Whether anything is sent through the group.';
comment on column channel_groups.created_by  is 'Who created the group: subject at the identity provider.';
comment on column channel_groups.created_at  is 'When the group was created.';
comment on column channel_groups.updated_at  is 'When the group was last changed; set by the application.';

comment on table  channel_group_members                  is 'Which channels belong to which group.';
comment on column channel_group_members.channel_group_id is 'The group.';
comment on column channel_group_members.channel_id       is 'The channel; it may belong to several groups.';
comment on column channel_group_members.sort_order       is 'Place in the group, from 1; the order of a failover.';
comment on column channel_group_members.created_at       is 'When the channel joined the group.';
