-- Rules: the conditions under which an alert fires.

create table rules (
    id           bigint      generated always as identity,
    group_name   text        not null default 'default',
    name         text        not null,
    expression   text        not null,
    for_duration interval    not null default '0',
    severity     text        not null default 'warning',
    labels       jsonb       not null default '{}',
    annotations  jsonb       not null default '{}',
    enabled      boolean     not null default true,
    created_by   text        not null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),

    constraint rules_pkey               primary key (id),
    constraint rules_group_name_key     unique (group_name, name),
    constraint rules_group_name_check   check (group_name <> ''),
    constraint rules_name_check         check (name <> ''),
    constraint rules_expression_check   check (expression <> ''),
    constraint rules_for_duration_check check (for_duration >= '0'),
    constraint rules_severity_check     check (severity in ('critical', 'warning', 'info')),
    constraint rules_labels_check       check (jsonb_typeof(labels) = 'object'),
    constraint rules_annotations_check  check (jsonb_typeof(annotations) = 'object')
);

comment on table  rules              is 'Alerting rules in the manner of Prometheus.';
comment on column rules.id           is 'Surrogate key.';
comment on column rules.group_name   is 'Rule group; the rules of a group are evaluated together.';
comment on column rules.name         is 'Alert name, unique within its group.';
comment on column rules.expression   is 'PromQL expression; each series it returns is an alert.';
comment on column rules.for_duration is 'How long the expression must hold before the alert fires.';
comment on column rules.severity     is 'critical, warning or info; handed on to the alerts.';
comment on column rules.labels       is 'Labels added to each alert, as an object of strings.';
comment on column rules.annotations  is 'Texts for people (summary, runbook), as an object of strings.';
comment on column rules.enabled      is 'Whether the rule is evaluated at all.';
comment on column rules.created_by   is 'Who created the rule: subject at the identity provider.';
comment on column rules.created_at   is 'When the rule was created.';
comment on column rules.updated_at   is 'When the rule was last changed; set by the application.';
