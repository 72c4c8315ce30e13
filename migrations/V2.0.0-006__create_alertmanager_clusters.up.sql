-- Alertmanager clusters: where rules are sent and alerts come from.

create table alertmanager_clusters (
    id          bigint      generated always as identity,
    name        text        not null,
    environment text        not null,
    description text        not null default '',
    endpoints   text[]      not null,
    auth_type   text        not null default 'none',
    secret_ref  text,
    tls_verify  boolean     not null default true,
    config      jsonb       not null default '{}',
    labels      jsonb       not null default '{}',
    enabled     boolean     not null default true,
    created_by  text        not null,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),

    constraint alertmanager_clusters_pkey              primary key (id),
    constraint alertmanager_clusters_name_key          unique (name),
    constraint alertmanager_clusters_name_check        check (name <> ''),
    constraint alertmanager_clusters_environment_check check (environment in ('production', 'staging', 'development')),
    constraint alertmanager_clusters_endpoints_check   check (cardinality(endpoints) > 0 and array_position(endpoints, null) is null),
    constraint alertmanager_clusters_auth_type_check   check (auth_type in ('none', 'basic', 'bearer', 'mtls')),
    constraint alertmanager_clusters_secret_ref_check  check (secret_ref ~ '^(vault|k8s|env|file)://[^[:space:]]+$'),
    constraint alertmanager_clusters_auth_check        check ((auth_type = 'none') = (secret_ref is null)),
    constraint alertmanager_clusters_config_check      check (jsonb_typeof(config) = 'object'),
    constraint alertmanager_clusters_labels_check      check (jsonb_typeof(labels) = 'object')
);

comment on table  alertmanager_clusters             is 'Alertmanager clusters under our care.';
comment on column alertmanager_clusters.id          is 'Surrogate key.';
comment on column alertmanager_clusters.name        is 'Name shown to people, unique.';
comment on column alertmanager_clusters.environment is 'production, staging or development.';
comment on column alertmanager_clusters.description is 'What the cluster serves and who runs it.';
comment on column alertmanager_clusters.endpoints   is 'Base addresses of the members, at least one; without credentials.';
comment on column alertmanager_clusters.auth_type   is 'How we log in: none, basic, bearer or mtls.';
comment on column alertmanager_clusters.secret_ref  is 'Where the credentials are kept, such as vault://alerting/clusters/eu-1; null for none.';
comment on column alertmanager_clusters.tls_verify  is 'Whether the certificate of the members is verified.';
comment on column alertmanager_clusters.config      is 'Alertmanager configuration (route, inhibition, grouping), secrets as references.';
comment on column alertmanager_clusters.labels      is 'Labels by which rules choose clusters, as an object of strings.';
comment on column alertmanager_clusters.enabled     is 'Whether rules are sent to it; a retired cluster is disabled, not deleted.';
comment on column alertmanager_clusters.created_by  is 'Who registered the cluster: subject at the identity provider.';
comment on column alertmanager_clusters.created_at  is 'When the cluster was registered.';
comment on column alertmanager_clusters.updated_at  is 'When the cluster was last changed; set by the application.';
