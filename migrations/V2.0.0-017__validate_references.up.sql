-- Validates what rules and alerts refer to, while they are in use.

-- One statement for each table, so that its checks share one scan; readers and writers go on.
alter table rules
    validate constraint rules_cluster_id_fkey,
    validate constraint rules_channel_group_id_fkey,
    validate constraint rules_priority_check,
    validate constraint rules_tags_check,
    validate constraint rules_metadata_check;

alter table alerts
    validate constraint alerts_cluster_id_fkey,
    validate constraint alerts_channel_id_fkey,
    validate constraint alerts_ai_analysis_id_fkey,
    validate constraint alerts_convergence_id_fkey,
    validate constraint alerts_processing_status_check;
