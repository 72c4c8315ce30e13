-- Alerts learn of clusters, channels, processing, analysis and convergence.

-- Everybody who reads alerts waits behind this; the lock timeout of sqlmigrate bounds that.
-- Not valid: looking at every row would take the lock for as long; V2.0.0-017 does it without.
-- Restrict: clusters and channels are disabled, not deleted, for that would rewrite history row by row.
alter table alerts
    add column cluster_id        bigint,
    add column channel_id        bigint,
    add column processing_status text not null default 'skipped',
    add column ai_analysis_id    bigint,
    add column convergence_id    bigint,

    add constraint alerts_cluster_id_fkey         foreign key (cluster_id) references alertmanager_clusters (id) on delete restrict not valid,
    add constraint alerts_channel_id_fkey         foreign key (channel_id) references alert_channels (id) on delete restrict not valid,
    add constraint alerts_ai_analysis_id_fkey     foreign key (ai_analysis_id) references ai_analysis_records (id) on delete set null not valid,
    add constraint alerts_convergence_id_fkey     foreign key (convergence_id) references alert_convergence_records (id) on delete set null not valid,
    add constraint alerts_processing_status_check check (processing_status in ('pending', 'running', 'done', 'failed', 'skipped')) not valid;

-- Two defaults: V1 has dealt with the rows there are, and they must not be notified again.
alter table alerts
    alter column processing_status set default 'pending';

comment on column alerts.cluster_id        is 'Cluster the alert came from; null if unknown.';
comment on column alerts.channel_id        is 'Channel which last accepted a notification of it; null if none did.';
comment on column alerts.processing_status is 'pending, running, done, failed or skipped; skipped includes all from before V2.';
comment on column alerts.ai_analysis_id    is 'Analysis to show with it, its own or that of its fold; null if there is none.';
comment on column alerts.convergence_id    is 'Fold it belongs to; null if it stands alone.';
