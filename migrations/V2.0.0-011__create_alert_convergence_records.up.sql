-- Alert convergence records: many alerts folded into one.

-- The foreign keys keep writers off rules and alerts for a moment; the lock timeout of sqlmigrate bounds that.
create table alert_convergence_records (
    id                bigint      generated always as identity,
    convergence_key   text        not null,
    strategy          text        not null,
    status            text        not null default 'open',
    rule_id           bigint,
    lead_alert_id     bigint,
    alert_count       bigint      not null default 1,
    criteria          jsonb       not null default '{}',
    window_started_at timestamptz not null,
    window_ends_at    timestamptz not null,
    closed_at         timestamptz,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),

    constraint alert_convergence_records_pkey                  primary key (id),
    constraint alert_convergence_records_rule_id_fkey          foreign key (rule_id) references rules (id) on delete set null,
    constraint alert_convergence_records_lead_alert_id_fkey    foreign key (lead_alert_id) references alerts (id) on delete set null,
    constraint alert_convergence_records_convergence_key_check check (convergence_key <> ''),
    constraint alert_convergence_records_strategy_check        check (strategy in ('fingerprint', 'label', 'topology', 'similarity')),
    constraint alert_convergence_records_status_check          check (status in ('open', 'closed')),
    constraint alert_convergence_records_alert_count_check     check (alert_count > 0),
    constraint alert_convergence_records_criteria_check        check (jsonb_typeof(criteria) = 'object'),
    constraint alert_convergence_records_window_check          check (window_ends_at > window_started_at),
    constraint alert_convergence_records_closed_check          check ((status = 'closed') = (closed_at is not null))
);

-- Two receivers must not open the same fold twice; the closed ones may repeat the key.
create unique index alert_convergence_records_open_key on alert_convergence_records (convergence_key) where status = 'open';

create index alert_convergence_records_rule_id_idx on alert_convergence_records (rule_id) where rule_id is not null;

create index alert_convergence_records_lead_alert_id_idx on alert_convergence_records (lead_alert_id) where lead_alert_id is not null;

comment on table  alert_convergence_records                   is 'Folds: alerts which belong together and are told of once.';
comment on column alert_convergence_records.id                is 'Surrogate key.';
comment on column alert_convergence_records.convergence_key   is 'What the folded alerts have in common, as computed by the strategy.';
comment on column alert_convergence_records.strategy          is 'How they were found to belong together: fingerprint, label, topology or similarity.';
comment on column alert_convergence_records.status            is 'open: takes further alerts; closed: no longer.';
comment on column alert_convergence_records.rule_id           is 'Rule all of them come from; null if several, or if it was deleted.';
comment on column alert_convergence_records.lead_alert_id     is 'Alert notified on behalf of all; null once it was cleared away.';
comment on column alert_convergence_records.alert_count       is 'How many alerts were folded, the lead included.';
comment on column alert_convergence_records.criteria          is 'Settings of the strategy at the time, so that a fold can be explained.';
comment on column alert_convergence_records.window_started_at is 'From when on alerts are folded.';
comment on column alert_convergence_records.window_ends_at    is 'Until when alerts are folded; moves on while they keep coming.';
comment on column alert_convergence_records.closed_at         is 'When the fold was closed; null while it is open.';
comment on column alert_convergence_records.created_at        is 'When the fold was opened.';
comment on column alert_convergence_records.updated_at        is 'When the row was last changed; set by the application.';
