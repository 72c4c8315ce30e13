-- Takes back the channel templates.

drop table channel_templates;
