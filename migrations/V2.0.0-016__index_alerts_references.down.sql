-- Takes back the indexes of what alerts refer to.

drop index concurrently alerts_pending_idx;

drop index concurrently alerts_convergence_id_idx;

drop index concurrently alerts_ai_analysis_id_idx;

drop index concurrently alerts_channel_id_idx;

drop index concurrently alerts_cluster_id_starts_at_idx;
