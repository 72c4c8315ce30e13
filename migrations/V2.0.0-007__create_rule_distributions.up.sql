-- Rule distributions: which rule is on which cluster, and how it went.

-- The foreign key keeps writers off rules for a moment; the lock timeout of sqlmigrate bounds that.
create table rule_distributions (
    id              bigint      generated always as identity,
    rule_id         bigint      not null,
    cluster_id      bigint      not null,
    status          text        not null default 'pending',
    checksum        text,
    attempt_count   integer     not null default 0,
    last_attempt_at timestamptz,
    last_error      text,
    synced_at       timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),

    constraint rule_distributions_pkey                primary key (id),
    constraint rule_distributions_rule_id_key         unique (rule_id, cluster_id),
    -- A rule must be withdrawn first, or the cluster goes on evaluating it unknown to us.
    constraint rule_distributions_rule_id_fkey        foreign key (rule_id) references rules (id) on delete restrict,
    constraint rule_distributions_cluster_id_fkey     foreign key (cluster_id) references alertmanager_clusters (id) on delete cascade,
    constraint rule_distributions_status_check        check (status in ('pending', 'synced', 'failed', 'withdrawing')),
    constraint rule_distributions_checksum_check      check (checksum ~ '^[0-9a-f]{64}$'),
    constraint rule_distributions_attempt_count_check check (attempt_count >= 0),
    constraint rule_distributions_synced_check        check (status <> 'synced' or num_nulls(checksum, synced_at) = 0),
    constraint rule_distributions_failed_check        check (status <> 'failed' or last_error is not null)
);

create index rule_distributions_cluster_id_idx on rule_distributions (cluster_id);

-- The distributor asks for what is left to do, which is little.
create index rule_distributions_todo_idx on rule_distributions (updated_at) where status <> 'synced';

comment on table  rule_distributions                 is 'Rules sent to clusters, one row for each pair.';
comment on column rule_distributions.id              is 'Surrogate key.';
comment on column rule_distributions.rule_id         is 'The rule.';
comment on column rule_distributions.cluster_id      is 'The cluster.';
comment on column rule_distributions.status          is 'pending, synced, failed or withdrawing; once withdrawn the row is deleted.';
comment on column rule_distributions.checksum        is 'SHA-256, in hex, of the rule as the cluster has it; null if it has none.';
comment on column rule_distributions.attempt_count   is 'Attempts since the last success.';
comment on column rule_distributions.last_attempt_at is 'When it was last tried.';
comment on column rule_distributions.last_error      is 'What the last attempt failed with; null after a success.';
comment on column rule_distributions.synced_at       is 'When the cluster last accepted the rule.';
comment on column rule_distributions.created_at      is 'When the rule was first meant for the cluster.';
comment on column rule_distributions.updated_at      is 'When the row was last changed; set by the application.';
