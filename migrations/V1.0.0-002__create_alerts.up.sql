-- Alerts: each time a rule fired, and how it ended.

create table alerts (
    id              bigint           generated always as identity,
    rule_id         bigint,
    fingerprint     text             not null,
    status          text             not null default 'firing',
    severity        text             not null,
    labels          jsonb            not null default '{}',
    annotations     jsonb            not null default '{}',
    value           double precision,
    generator_url   text,
    starts_at       timestamptz      not null,
    ends_at         timestamptz,
    acknowledged_by text,
    acknowledged_at timestamptz,
    created_at      timestamptz      not null default now(),
    updated_at      timestamptz      not null default now(),

    constraint alerts_pkey               primary key (id),
    -- Alertmanager repeats what is still firing; a repeat must find the first row.
    constraint alerts_fingerprint_key    unique (fingerprint, starts_at),
    -- The history of a rule outlives the rule.
    constraint alerts_rule_id_fkey       foreign key (rule_id) references rules (id) on delete set null,
    constraint alerts_fingerprint_check  check (fingerprint <> ''),
    constraint alerts_status_check       check (status in ('firing', 'resolved')),
    constraint alerts_severity_check     check (severity in ('critical', 'warning', 'info')),
    constraint alerts_labels_check       check (jsonb_typeof(labels) = 'object'),
    constraint alerts_annotations_check  check (jsonb_typeof(annotations) = 'object'),
    constraint alerts_ends_at_check      check (ends_at >= starts_at),
    constraint alerts_resolved_check     check ((status = 'resolved') = (ends_at is not null)),
    constraint alerts_acknowledged_check check ((acknowledged_by is null) = (acknowledged_at is null))
);

create index alerts_rule_id_starts_at_idx on alerts (rule_id, starts_at desc);

-- Retention and the timeline go by time alone.
create index alerts_starts_at_idx on alerts (starts_at);

-- The front page shows what is firing now, a sliver of the table.
create index alerts_firing_idx on alerts (severity, starts_at desc) where status = 'firing';

-- Silences and searches match by label, with @>.
create index alerts_labels_idx on alerts using gin (labels jsonb_path_ops);

comment on table  alerts                 is 'Alerts received: one row for each time a series began to fire.';
comment on column alerts.id              is 'Surrogate key.';
comment on column alerts.rule_id         is 'Rule that fired; null if it is not managed here or was deleted.';
comment on column alerts.fingerprint     is 'Hash of the labels, as computed by Alertmanager.';
comment on column alerts.status          is 'firing or resolved.';
comment on column alerts.severity        is 'critical, warning or info, as it was when the alert fired.';
comment on column alerts.labels          is 'Labels of the series and of the rule, as an object of strings.';
comment on column alerts.annotations     is 'Texts for people, templates filled in, as an object of strings.';
comment on column alerts.value           is 'Value of the expression when the alert fired.';
comment on column alerts.generator_url   is 'Link to the expression at its source.';
comment on column alerts.starts_at       is 'When the alert began to fire.';
comment on column alerts.ends_at         is 'When the alert was resolved; null while it fires.';
comment on column alerts.acknowledged_by is 'Who took charge of the alert: subject at the identity provider.';
comment on column alerts.acknowledged_at is 'When somebody took charge of the alert.';
comment on column alerts.created_at      is 'When the alert was received.';
comment on column alerts.updated_at      is 'When the row was last changed; set by the application.';
