#!/bin/sh
# Shows a release that another person must approve, from the plan to its run, and a release whose files changed after the approval.
#
# It needs two database roles: DEPLOY_URL connects as the migrating role, REVIEW_URL as the approving role
# (docs/security.md lists the grants). Run it in a project whose sqlmigrate.toml contains
#
#     [environments.production]
#     require_approval = true
set -eu
: "${DEPLOY_URL:?connects as the migrating role}"
: "${REVIEW_URL:?connects to the same database as the approving role}"
export SQLMIGRATE_ENV=production

refused() {
    if "$@"; then
        echo "this should have been refused: $*" >&2
        exit 1
    fi
}

echo "--- nothing runs without an approved plan; the error shows how to create one"
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate

echo "--- in the afternoon: create the plan, for review"
DATABASE_URL=$DEPLOY_URL sqlmigrate plan --out plan.json

echo "--- the creator of the plan cannot approve it for the same role"
DATABASE_URL=$DEPLOY_URL sqlmigrate approve plan.json --yes
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate --plan plan.json

echo "--- another person reads and approves it"
DATABASE_URL=$REVIEW_URL sqlmigrate approve plan.json --yes

echo "--- at night: run exactly this plan"
DATABASE_URL=$DEPLOY_URL sqlmigrate migrate --plan plan.json

echo "--- the plan cannot run twice, and its rollback needs a separate approval"
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate --plan plan.json
DATABASE_URL=$DEPLOY_URL refused sqlmigrate rollback --steps 1 --yes
DATABASE_URL=$DEPLOY_URL sqlmigrate plan --rollback --steps 1 --out back.json
DATABASE_URL=$REVIEW_URL sqlmigrate approve back.json --yes
DATABASE_URL=$DEPLOY_URL sqlmigrate rollback --plan back.json --yes

echo "--- an approved plan is invalid after its files were changed"
DATABASE_URL=$DEPLOY_URL sqlmigrate plan --out plan.json
DATABASE_URL=$REVIEW_URL sqlmigrate approve plan.json --yes
for file in migrations/V*.up.sql; do
    echo "-- one more line" >>"$file"
done
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate --plan plan.json

echo "--- who did what"
DATABASE_URL=$REVIEW_URL sqlmigrate history
