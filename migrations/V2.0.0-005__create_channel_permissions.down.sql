-- Takes back the channel permissions.

drop table channel_permissions;
