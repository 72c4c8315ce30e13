-- Rules learn of clusters, channel groups, priorities and tags.

-- Everybody who reads rules waits behind this; the lock timeout of sqlmigrate bounds that.
-- Not valid: looking at every row would take the lock for as long; V2.0.0-017 does it without.
-- Restrict: a rule must not lose its cluster or its audience without anybody noticing.
alter table rules
    add column cluster_id       bigint,
    add column channel_group_id bigint,
    add column priority         smallint not null default 3,
    add column tags             text[]   not null default '{}',
    add column metadata         jsonb    not null default '{}',

    add constraint rules_cluster_id_fkey       foreign key (cluster_id) references alertmanager_clusters (id) on delete restrict not valid,
    add constraint rules_channel_group_id_fkey foreign key (channel_group_id) references channel_groups (id) on delete restrict not valid,
    add constraint rules_priority_check        check (priority between 1 and 5) not valid,
    add constraint rules_tags_check            check (array_position(tags, null) is null) not valid,
    add constraint rules_metadata_check        check (jsonb_typeof(metadata) = 'object') not valid;

comment on column rules.cluster_id       is 'Cluster the rule belongs to; null if it is not bound to one.';
comment on column rules.channel_group_id is 'Channels its alerts are sent to; null for the default of the installation.';
comment on column rules.priority         is 'From 1, handled first, to 5, handled last.';
comment on column rules.tags             is 'Words to find the rule by; unlike labels they stay with the rule.';
comment on column rules.metadata         is 'What other programs keep with the rule, as an object.';
