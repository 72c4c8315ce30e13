-- Takes back the validation: what is valid cannot be made not valid, so it is dropped and added anew.

-- Everybody who reads rules or alerts waits behind this; the lock timeout of sqlmigrate bounds that.
alter table alerts
    drop constraint alerts_processing_status_check,
    drop constraint alerts_convergence_id_fkey,
    drop constraint alerts_ai_analysis_id_fkey,
    drop constraint alerts_channel_id_fkey,
    drop constraint alerts_cluster_id_fkey,

    add constraint alerts_cluster_id_fkey         foreign key (cluster_id) references alertmanager_clusters (id) on delete restrict not valid,
    add constraint alerts_channel_id_fkey         foreign key (channel_id) references alert_channels (id) on delete restrict not valid,
    add constraint alerts_ai_analysis_id_fkey     foreign key (ai_analysis_id) references ai_analysis_records (id) on delete set null not valid,
    add constraint alerts_convergence_id_fkey     foreign key (convergence_id) references alert_convergence_records (id) on delete set null not valid,
    add constraint alerts_processing_status_check check (processing_status in ('pending', 'running', 'done', 'failed', 'skipped')) not valid;

alter table rules
    drop constraint rules_metadata_check,
    drop constraint rules_tags_check,
    drop constraint rules_priority_check,
    drop constraint rules_channel_group_id_fkey,
    drop constraint rules_cluster_id_fkey,

    add constraint rules_cluster_id_fkey       foreign key (cluster_id) references alertmanager_clusters (id) on delete restrict not valid,
    add constraint rules_channel_group_id_fkey foreign key (channel_group_id) references channel_groups (id) on delete restrict not valid,
    add constraint rules_priority_check        check (priority between 1 and 5) not valid,
    add constraint rules_tags_check            check (array_position(tags, null) is null) not valid,
    add constraint rules_metadata_check        check (jsonb_typeof(metadata) = 'object') not valid;
