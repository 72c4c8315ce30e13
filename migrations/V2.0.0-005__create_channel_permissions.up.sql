-- Channel permissions: who may see, use or change a channel.

create table channel_permissions (
    id           bigint      generated always as identity,
    channel_id   bigint      not null,
    subject_type text        not null,
    subject      text        not null,
    permission   text        not null,
    granted_by   text        not null,
    expires_at   timestamptz,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),

    constraint channel_permissions_pkey               primary key (id),
    constraint channel_permissions_subject_key        unique (channel_id, subject_type, subject),
    constraint channel_permissions_channel_id_fkey    foreign key (channel_id) references alert_channels (id) on delete cascade,
    constraint channel_permissions_subject_type_check check (subject_type in ('user', 'team', 'role')),
    constraint channel_permissions_subject_check      check (subject <> ''),
    constraint channel_permissions_permission_check   check (permission in ('view', 'send', 'manage')),
    constraint channel_permissions_expires_at_check   check (expires_at > created_at)
);

-- The unique constraint answers who may use a channel; this, which channels one may use.
create index channel_permissions_subject_idx on channel_permissions (subject_type, subject);

comment on table  channel_permissions              is 'Grants on channels, at most one for each channel and subject.';
comment on column channel_permissions.id           is 'Surrogate key.';
comment on column channel_permissions.channel_id   is 'The channel.';
comment on column channel_permissions.subject_type is 'What the subject is: user, team or role.';
comment on column channel_permissions.subject      is 'Who is granted: subject at the identity provider.';
comment on column channel_permissions.permission   is 'view, send or manage; each includes the ones before.';
comment on column channel_permissions.granted_by   is 'Who granted it: subject at the identity provider.';
comment on column channel_permissions.expires_at   is 'When the grant ends; null for never.';
comment on column channel_permissions.created_at   is 'When it was granted.';
comment on column channel_permissions.updated_at   is 'When the grant was last changed; set by the application.';
