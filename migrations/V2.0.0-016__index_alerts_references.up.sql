-- Indexes what alerts refer to, while they are in use.

-- No "if not exists" here: it would take the invalid index of a failed attempt for a good one.
-- Partial, as the alerts of V1 refer to nothing.
create index concurrently alerts_cluster_id_starts_at_idx on alerts (cluster_id, starts_at desc) where cluster_id is not null;

create index concurrently alerts_channel_id_idx on alerts (channel_id) where channel_id is not null;

create index concurrently alerts_ai_analysis_id_idx on alerts (ai_analysis_id) where ai_analysis_id is not null;

create index concurrently alerts_convergence_id_idx on alerts (convergence_id) where convergence_id is not null;

-- The queue of the processors: short, in a table which is not.
create index concurrently alerts_pending_idx on alerts (created_at) where processing_status = 'pending';
