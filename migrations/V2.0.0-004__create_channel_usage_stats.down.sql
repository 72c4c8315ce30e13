-- Takes back the channel usage stats.

drop table channel_usage_stats;
