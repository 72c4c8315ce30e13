-- Takes back the channel groups and their members.

drop table channel_group_members;
drop table channel_groups;
