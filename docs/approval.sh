#!/bin/sh
# A release that somebody else has to approve, from the plan to the night it runs; and one that was changed in between.
#
# It wants two database roles: DEPLOY_URL connects as the one that migrates, REVIEW_URL as that of whoever approves
# (docs/security.md has the grants). It is to be run in a project whose sqlmigrate.toml says
#
#     [environments.production]
#     require_approval = true
set -eu
: "${DEPLOY_URL:?the database, as the role that migrates}"
: "${REVIEW_URL:?the same database, as the role that approves}"
export SQLMIGRATE_ENV=production

refused() {
    if "$@"; then
        echo "this should have been refused: $*" >&2
        exit 1
    fi
}

echo "--- nothing runs without an approved plan, and the refusal says how to get one"
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate

echo "--- in the afternoon: the plan, to be read and to be sent around"
DATABASE_URL=$DEPLOY_URL sqlmigrate plan --out plan.json

echo "--- who made it can't approve it for themselves"
DATABASE_URL=$DEPLOY_URL sqlmigrate approve plan.json --yes
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate --plan plan.json

echo "--- somebody else reads it, and approves"
DATABASE_URL=$REVIEW_URL sqlmigrate approve plan.json --yes

echo "--- at night: exactly that plan"
DATABASE_URL=$DEPLOY_URL sqlmigrate migrate --plan plan.json

echo "--- it can't be run twice, and taking it back wants an approval of its own"
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate --plan plan.json
DATABASE_URL=$DEPLOY_URL refused sqlmigrate rollback --steps 1 --yes
DATABASE_URL=$DEPLOY_URL sqlmigrate plan --rollback --steps 1 --out back.json
DATABASE_URL=$REVIEW_URL sqlmigrate approve back.json --yes
DATABASE_URL=$DEPLOY_URL sqlmigrate rollback --plan back.json --yes

echo "--- an approved plan whose files were changed since is no plan any more"
DATABASE_URL=$DEPLOY_URL sqlmigrate plan --out plan.json
DATABASE_URL=$REVIEW_URL sqlmigrate approve plan.json --yes
for file in migrations/V*.up.sql; do
    echo "-- one more line" >>"$file"
done
DATABASE_URL=$DEPLOY_URL refused sqlmigrate migrate --plan plan.json

echo "--- who did what"
DATABASE_URL=$REVIEW_URL sqlmigrate history
