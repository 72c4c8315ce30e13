-- Alert channels: where a notification goes and how.

create table alert_channels (
    id                    bigint      generated always as identity,
    name                  text        not null,
    channel_type          text        not null,
    description           text        not null default '',
    config                jsonb       not null default '{}',
    secret_ref            text,
    rate_limit_per_minute integer,
    enabled               boolean     not null default true,
    created_by            text        not null,
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now(),

    constraint alert_channels_pkey               primary key (id),
    constraint alert_channels_name_key           unique (name),
    constraint alert_channels_name_check         check (name <> ''),
    constraint alert_channels_channel_type_check check (channel_type in ('slack', 'dingtalk', 'wecom', 'email', 'webhook')),
    constraint alert_channels_config_check       check (jsonb_typeof(config) = 'object'),
    -- A secret in here would be in every backup and before every reader.
    constraint alert_channels_no_secret_check    check (
        not config ?| array['url', 'webhook_url', 'token', 'secret', 'password', 'api_key']
    ),
    -- https is left out on purpose: a chat webhook is a secret in itself.
    constraint alert_channels_secret_ref_check   check (secret_ref ~ '^(vault|k8s|env|file)://[^[:space:]]+$'),
    constraint alert_channels_needs_secret_check check (channel_type = 'email' or secret_ref is not null),
    constraint alert_channels_rate_limit_check   check (rate_limit_per_minute > 0)
);

comment on table  alert_channels                       is 'Places a notification can be sent to.';
comment on column alert_channels.id                    is 'Surrogate key.';
comment on column alert_channels.name                  is 'Name shown to people, unique.';
comment on column alert_channels.channel_type          is 'slack, dingtalk, wecom, email or webhook.';
comment on column alert_channels.description           is 'What the channel is for and who reads it.';
comment on column alert_channels.config                is 'Settings of the type (recipients, mentions); never a secret or an address holding one.';
comment on column alert_channels.secret_ref            is 'Where the webhook address, token or password is kept, such as vault://alerting/slack/oncall.';
comment on column alert_channels.rate_limit_per_minute is 'Notifications allowed in a minute; null for no limit.';
comment on column alert_channels.enabled               is 'Whether anything is sent; a used channel is disabled, not deleted.';
comment on column alert_channels.created_by            is 'Who created the channel: subject at the identity provider.';
comment on column alert_channels.created_at            is 'When the channel was created.';
comment on column alert_channels.updated_at            is 'When the channel was last changed; set by the application.';
