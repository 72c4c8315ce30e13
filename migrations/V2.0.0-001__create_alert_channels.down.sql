-- Takes back the alert channels.

drop table alert_channels;
