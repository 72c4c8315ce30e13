-- Indexes what rules refer to, while they are in use.

-- No "if not exists" here: it would take the invalid index of a failed attempt for a good one.
-- Partial, as the rules of V1 refer to nothing.
create index concurrently rules_cluster_id_idx on rules (cluster_id) where cluster_id is not null;

create index concurrently rules_channel_group_id_idx on rules (channel_group_id) where channel_group_id is not null;

-- The list of rules is filtered by tag, with @>.
create index concurrently rules_tags_idx on rules using gin (tags);
