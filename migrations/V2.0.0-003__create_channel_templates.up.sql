-- Channel templates: how a notification reads.

create table channel_templates (
    id           bigint      generated always as identity,
    channel_id   bigint,
    channel_type text,
    event        text        not null,
    locale       text        not null default 'en',
    title        text        not null default '',
    body         text        not null,
    created_by   text        not null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),

    constraint channel_templates_pkey               primary key (id),
    -- One of the two is always null, and must count as equal for this to hold.
    constraint channel_templates_scope_key          unique nulls not distinct (channel_id, channel_type, event, locale),
    constraint channel_templates_channel_id_fkey    foreign key (channel_id) references alert_channels (id) on delete cascade,
    constraint channel_templates_scope_check        check (num_nonnulls(channel_id, channel_type) = 1),
    constraint channel_templates_channel_type_check check (channel_type in ('slack', 'dingtalk', 'wecom', 'email', 'webhook')),
    constraint channel_templates_event_check        check (event in ('firing', 'resolved', 'converged', 'analyzed')),
    constraint channel_templates_locale_check       check (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
    constraint channel_templates_body_check         check (body <> '')
);

comment on table  channel_templates              is 'Texts of notifications: one for a channel, or the default of a channel type.';
comment on column channel_templates.id           is 'Surrogate key.';
comment on column channel_templates.channel_id   is 'Channel the template is for; null for the default of a type.';
comment on column channel_templates.channel_type is 'Type the template is the default of; null for one channel''s own.';
comment on column channel_templates.event        is 'What is told: firing, resolved, converged or analyzed.';
comment on column channel_templates.locale       is 'Language of the text, such as en or zh-CN.';
comment on column channel_templates.title        is 'Template of the title or subject; empty where the type has none.';
comment on column channel_templates.body         is 'Template of the message.';
comment on column channel_templates.created_by   is 'Who created the template: subject at the identity provider.';
comment on column channel_templates.created_at   is 'When the template was created.';
comment on column channel_templates.updated_at   is 'When the template was last changed; set by the application.';
