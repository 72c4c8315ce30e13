-- Takes back what rules learned; their constraints go with the columns.

-- Everybody who reads rules waits behind this; the lock timeout of sqlmigrate bounds that.
alter table rules
    drop column metadata,
    drop column tags,
    drop column priority,
    drop column channel_group_id,
    drop column cluster_id;
