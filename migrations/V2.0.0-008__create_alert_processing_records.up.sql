-- Alert processing records: what was done about an alert, step by step.

-- The foreign key keeps writers off alerts for a moment; the lock timeout of sqlmigrate bounds that.
create table alert_processing_records (
    id          bigint      generated always as identity,
    alert_id    bigint      not null,
    step        text        not null,
    channel_id  bigint,
    attempt     integer     not null default 1,
    status      text        not null default 'running',
    detail      jsonb       not null default '{}',
    error       text,
    started_at  timestamptz not null default now(),
    finished_at timestamptz,

    constraint alert_processing_records_pkey              primary key (id),
    -- A step without a channel must not be recorded twice either.
    constraint alert_processing_records_attempt_key       unique nulls not distinct (alert_id, step, channel_id, attempt),
    constraint alert_processing_records_alert_id_fkey     foreign key (alert_id) references alerts (id) on delete cascade,
    constraint alert_processing_records_channel_id_fkey   foreign key (channel_id) references alert_channels (id) on delete restrict,
    constraint alert_processing_records_step_check        check (step in ('receive', 'converge', 'analyze', 'automate', 'notify')),
    constraint alert_processing_records_channel_check     check ((step = 'notify') = (channel_id is not null)),
    constraint alert_processing_records_attempt_check     check (attempt > 0),
    constraint alert_processing_records_status_check      check (status in ('running', 'succeeded', 'failed', 'skipped')),
    constraint alert_processing_records_detail_check      check (jsonb_typeof(detail) = 'object'),
    constraint alert_processing_records_failed_check      check ((status = 'failed') = (error is not null)),
    constraint alert_processing_records_finished_check    check ((status = 'running') = (finished_at is null)),
    constraint alert_processing_records_finished_at_check check (finished_at >= started_at)
);

-- Only one step in five has a channel.
create index alert_processing_records_channel_id_idx on alert_processing_records (channel_id) where channel_id is not null;

-- Looked at first when something is wrong: what hangs and what failed.
create index alert_processing_records_trouble_idx on alert_processing_records (started_at) where status in ('running', 'failed');

comment on table  alert_processing_records             is 'Steps taken with an alert, one row for each attempt.';
comment on column alert_processing_records.id          is 'Surrogate key.';
comment on column alert_processing_records.alert_id    is 'The alert.';
comment on column alert_processing_records.step        is 'receive, converge, analyze, automate or notify.';
comment on column alert_processing_records.channel_id  is 'Channel notified; null for any other step.';
comment on column alert_processing_records.attempt     is 'Which attempt at the step it was, from 1.';
comment on column alert_processing_records.status      is 'running, succeeded, failed or skipped.';
comment on column alert_processing_records.detail      is 'What the step wants remembered, such as the receiver''s message id.';
comment on column alert_processing_records.error       is 'What the attempt failed with; null unless it failed.';
comment on column alert_processing_records.started_at  is 'When the attempt began.';
comment on column alert_processing_records.finished_at is 'When the attempt ended; null while it runs.';
