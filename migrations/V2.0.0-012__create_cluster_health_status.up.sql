-- Cluster health status: what each look at a cluster member found.

create table cluster_health_status (
    id         bigint      generated always as identity,
    cluster_id bigint      not null,
    endpoint   text        not null,
    status     text        not null,
    version    text,
    peer_count integer,
    latency_ms integer,
    error      text,
    checked_at timestamptz not null default now(),

    constraint cluster_health_status_pkey             primary key (id),
    constraint cluster_health_status_cluster_id_fkey  foreign key (cluster_id) references alertmanager_clusters (id) on delete cascade,
    constraint cluster_health_status_endpoint_check   check (endpoint <> ''),
    constraint cluster_health_status_status_check     check (status in ('healthy', 'degraded', 'unreachable')),
    constraint cluster_health_status_peer_count_check check (peer_count >= 0),
    constraint cluster_health_status_latency_ms_check check (latency_ms >= 0),
    constraint cluster_health_status_error_check      check (status <> 'unreachable' or error is not null)
);

-- The latest state of each member is read from its end.
create index cluster_health_status_latest_idx on cluster_health_status (cluster_id, endpoint, checked_at desc);

-- Only ever appended to and cleared from the old end, for which brin is enough and tiny.
create index cluster_health_status_checked_at_idx on cluster_health_status using brin (checked_at);

comment on table  cluster_health_status            is 'Health checks of cluster members, one row for each check.';
comment on column cluster_health_status.id         is 'Surrogate key.';
comment on column cluster_health_status.cluster_id is 'The cluster.';
comment on column cluster_health_status.endpoint   is 'Base address of the member asked.';
comment on column cluster_health_status.status     is 'healthy, degraded (it answers, but misses peers) or unreachable.';
comment on column cluster_health_status.version    is 'Alertmanager version it reports; null if unreachable.';
comment on column cluster_health_status.peer_count is 'Peers it sees, itself included; null if unreachable.';
comment on column cluster_health_status.latency_ms is 'Time to answer, in milliseconds; null if unreachable.';
comment on column cluster_health_status.error      is 'What went wrong; null if nothing did.';
comment on column cluster_health_status.checked_at is 'When it was asked.';
