-- Automation actions: what a machine proposed or did about an alert.

-- The foreign key keeps writers off alerts for a moment; the lock timeout of sqlmigrate bounds that.
create table automation_actions (
    id             bigint      generated always as identity,
    alert_id       bigint,
    ai_analysis_id bigint,
    action_type    text        not null,
    target         text        not null,
    parameters     jsonb       not null default '{}',
    status         text        not null default 'proposed',
    proposed_by    text        not null,
    decided_by     text,
    decided_at     timestamptz,
    started_at     timestamptz,
    finished_at    timestamptz,
    result         jsonb       not null default '{}',
    error          text,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),

    constraint automation_actions_pkey                primary key (id),
    -- What was done to a system stays on record when the alert is cleared away.
    constraint automation_actions_alert_id_fkey       foreign key (alert_id) references alerts (id) on delete set null,
    constraint automation_actions_ai_analysis_id_fkey foreign key (ai_analysis_id) references ai_analysis_records (id) on delete set null,
    constraint automation_actions_action_type_check   check (action_type in ('restart', 'scale', 'silence', 'runbook', 'webhook')),
    constraint automation_actions_target_check        check (target <> ''),
    constraint automation_actions_parameters_check    check (jsonb_typeof(parameters) = 'object'),
    constraint automation_actions_result_check        check (jsonb_typeof(result) = 'object'),
    constraint automation_actions_status_check        check (status in ('proposed', 'approved', 'rejected', 'running', 'succeeded', 'failed')),
    -- Nothing runs on its own authority: somebody, or a named policy, let it.
    constraint automation_actions_decided_check       check ((status = 'proposed') = (decided_by is null)),
    constraint automation_actions_decided_at_check    check ((decided_by is null) = (decided_at is null)),
    constraint automation_actions_failed_check        check ((status = 'failed') = (error is not null)),
    constraint automation_actions_finished_check      check ((status in ('succeeded', 'failed')) = (finished_at is not null)),
    constraint automation_actions_finished_at_check   check (finished_at >= started_at)
);

create index automation_actions_alert_id_idx on automation_actions (alert_id) where alert_id is not null;

create index automation_actions_ai_analysis_id_idx on automation_actions (ai_analysis_id) where ai_analysis_id is not null;

-- The inbox of approvals and the runner both want the few which are not over.
create index automation_actions_open_idx on automation_actions (created_at) where status in ('proposed', 'approved', 'running');

comment on table  automation_actions                is 'Actions proposed or taken by automation, with who approved them.';
comment on column automation_actions.id             is 'Surrogate key.';
comment on column automation_actions.alert_id       is 'Alert which led to it; null once that was cleared away.';
comment on column automation_actions.ai_analysis_id is 'Analysis which recommended it; null if none did or it was cleared away.';
comment on column automation_actions.action_type    is 'restart, scale, silence, runbook or webhook.';
comment on column automation_actions.target         is 'What is acted upon, such as deployment/checkout.';
comment on column automation_actions.parameters     is 'Arguments of the action, secrets as references.';
comment on column automation_actions.status         is 'proposed, approved, rejected, running, succeeded or failed.';
comment on column automation_actions.proposed_by    is 'Who or what proposed it.';
comment on column automation_actions.decided_by     is 'Who approved or rejected it: subject at the identity provider, or a policy.';
comment on column automation_actions.decided_at     is 'When it was approved or rejected.';
comment on column automation_actions.started_at     is 'When it began to run.';
comment on column automation_actions.finished_at    is 'When it ended; null until then.';
comment on column automation_actions.result         is 'What the action returned.';
comment on column automation_actions.error          is 'What it failed with; null unless it failed.';
comment on column automation_actions.created_at     is 'When it was proposed.';
comment on column automation_actions.updated_at     is 'When the row was last changed; set by the application.';
