-- Channel usage stats: what went through a channel, hour by hour.

create table channel_usage_stats (
    id               bigint      generated always as identity,
    channel_id       bigint      not null,
    period_start     timestamptz not null,
    sent_count       bigint      not null default 0,
    failed_count     bigint      not null default 0,
    throttled_count  bigint      not null default 0,
    latency_ms_total bigint      not null default 0,
    latency_ms_max   bigint      not null default 0,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now(),

    constraint channel_usage_stats_pkey               primary key (id),
    -- The target of the upsert which counts.
    constraint channel_usage_stats_period_start_key   unique (channel_id, period_start),
    constraint channel_usage_stats_channel_id_fkey    foreign key (channel_id) references alert_channels (id) on delete cascade,
    constraint channel_usage_stats_period_start_check check (period_start = date_trunc('hour', period_start, 'UTC')),
    constraint channel_usage_stats_counts_check       check (least(sent_count, failed_count, throttled_count) >= 0),
    constraint channel_usage_stats_latency_check      check (latency_ms_max between 0 and latency_ms_total)
);

-- Reports and retention span all channels.
create index channel_usage_stats_period_start_idx on channel_usage_stats (period_start);

comment on table  channel_usage_stats                  is 'Counters of notifications, one row for each channel and hour.';
comment on column channel_usage_stats.id               is 'Surrogate key.';
comment on column channel_usage_stats.channel_id       is 'The channel.';
comment on column channel_usage_stats.period_start     is 'Beginning of the hour, in UTC.';
comment on column channel_usage_stats.sent_count       is 'Notifications the receiver accepted.';
comment on column channel_usage_stats.failed_count     is 'Notifications given up after all attempts.';
comment on column channel_usage_stats.throttled_count  is 'Notifications held back by the rate limit.';
comment on column channel_usage_stats.latency_ms_total is 'Sum of the times to send, in milliseconds; a sum can be added up, a mean cannot.';
comment on column channel_usage_stats.latency_ms_max   is 'Longest time to send, in milliseconds.';
comment on column channel_usage_stats.created_at       is 'When the hour was first counted.';
comment on column channel_usage_stats.updated_at       is 'When the hour was last counted; set by the application.';
