-- Takes back the indexes of what rules refer to.

drop index concurrently rules_tags_idx;

drop index concurrently rules_channel_group_id_idx;

drop index concurrently rules_cluster_id_idx;
