-- AI analysis records: what a model made of an alert, and at what price.

-- The foreign key keeps writers off alerts for a moment; the lock timeout of sqlmigrate bounds that.
create table ai_analysis_records (
    id              bigint        generated always as identity,
    alert_id        bigint        not null,
    provider        text          not null,
    model           text          not null,
    prompt_version  text          not null,
    status          text          not null default 'pending',
    summary         text,
    root_cause      text,
    recommendations jsonb         not null default '[]',
    confidence      numeric(4, 3),
    input_tokens    bigint,
    output_tokens   bigint,
    error           text,
    requested_by    text          not null,
    created_at      timestamptz   not null default now(),
    started_at      timestamptz,
    finished_at     timestamptz,

    constraint ai_analysis_records_pkey                  primary key (id),
    constraint ai_analysis_records_alert_id_fkey         foreign key (alert_id) references alerts (id) on delete cascade,
    constraint ai_analysis_records_provider_check        check (provider <> ''),
    constraint ai_analysis_records_model_check           check (model <> ''),
    constraint ai_analysis_records_status_check          check (status in ('pending', 'running', 'succeeded', 'failed')),
    constraint ai_analysis_records_recommendations_check check (jsonb_typeof(recommendations) = 'array'),
    constraint ai_analysis_records_confidence_check      check (confidence between 0 and 1),
    constraint ai_analysis_records_tokens_check          check (input_tokens >= 0 and output_tokens >= 0),
    constraint ai_analysis_records_succeeded_check       check (status <> 'succeeded' or summary is not null),
    constraint ai_analysis_records_failed_check          check ((status = 'failed') = (error is not null)),
    constraint ai_analysis_records_finished_check        check ((status in ('succeeded', 'failed')) = (finished_at is not null)),
    constraint ai_analysis_records_finished_at_check     check (finished_at >= started_at)
);

create index ai_analysis_records_alert_id_created_at_idx on ai_analysis_records (alert_id, created_at desc);

-- Two analyses of one alert at a time would be paid for twice.
create unique index ai_analysis_records_unfinished_key on ai_analysis_records (alert_id) where status in ('pending', 'running');

comment on table  ai_analysis_records                 is 'Analyses of alerts by a language model.';
comment on column ai_analysis_records.id              is 'Surrogate key.';
comment on column ai_analysis_records.alert_id        is 'Alert analysed; others folded with it may share the result.';
comment on column ai_analysis_records.provider        is 'Who runs the model.';
comment on column ai_analysis_records.model           is 'Model asked, with its version.';
comment on column ai_analysis_records.prompt_version  is 'Version of the prompt, so that results can be compared.';
comment on column ai_analysis_records.status          is 'pending, running, succeeded or failed.';
comment on column ai_analysis_records.summary         is 'What happened, in a few sentences; null until it succeeded.';
comment on column ai_analysis_records.root_cause      is 'Supposed cause; null if the model names none.';
comment on column ai_analysis_records.recommendations is 'What to do, as an array, the most useful first.';
comment on column ai_analysis_records.confidence      is 'How sure the model says it is, from 0 to 1.';
comment on column ai_analysis_records.input_tokens    is 'Tokens sent; null if the provider does not tell.';
comment on column ai_analysis_records.output_tokens   is 'Tokens received; null if the provider does not tell.';
comment on column ai_analysis_records.error           is 'What the analysis failed with; null unless it failed.';
comment on column ai_analysis_records.requested_by    is 'Who asked: subject at the identity provider, or system.';
comment on column ai_analysis_records.created_at      is 'When the analysis was asked for.';
comment on column ai_analysis_records.started_at      is 'When the model was called.';
comment on column ai_analysis_records.finished_at     is 'When the analysis ended; null until then.';
