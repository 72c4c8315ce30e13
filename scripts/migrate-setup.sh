#!/usr/bin/env bash
# Creates a database and migrates it. A second run applies the new migrations.
#
#   migrate-setup.sh                                 an embedded PostgreSQL in .local/postgres, or the database of DATABASE_URL
#   migrate-setup.sh --docker                        PostgreSQL in a container, with docker-compose.yml
#   migrate-setup.sh --clean                         removes the database first
#   migrate-setup.sh --rollback --target v2.0.0-001  rolls back to a version, which stays applied
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "scripts/${0##*/}"
}

refuse() {
  echo "migrate-setup: $1" >&2
  usage >&2
  exit 2
}

clean='' docker='' rollback='' target=''
while (($#)); do
  case $1 in
    --clean) clean=yes ;;
    --docker) docker=yes ;;
    --rollback) rollback=yes ;;
    --target) target=${2:-}; shift || true; [[ -n $target ]] || refuse "--target requires a version" ;;
    --help | -h) usage; exit ;;
    *) refuse "unknown option $1" ;;
  esac
  shift
done
if [[ -n $rollback && -z $target || -z $rollback && -n $target ]]; then refuse "--rollback and --target VERSION require each other"; fi
if [[ -n $rollback && -n $clean ]]; then refuse "--rollback and --clean cannot be combined"; fi

secrets=.local/secrets
read -ra compose <<<"${COMPOSE:-docker-compose}"
export DATABASE_URL=${DATABASE_URL:-embedded:.local/postgres}

remove() {
  if [[ -n $docker ]]; then
    "${compose[@]}" down --volumes
  elif [[ $DATABASE_URL == embedded:* ]]; then
    rm -rf "${DATABASE_URL#embedded:}"
  else
    echo "migrate-setup: --clean removes only an embedded database or the database of --docker, not the database of DATABASE_URL" >&2
    exit 2
  fi
}

prepare() {
  if [[ -z $docker ]]; then
    make --no-print-directory -s .venv/.run
    return
  fi
  if [[ ! -s $secrets/db_password ]]; then
    # The container's user reads the file but does not own it; the directory keeps other users of this machine out.
    mkdir -p "$secrets" && chmod 700 "$secrets"
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/db_password"
    chmod 644 "$secrets/db_password"
  fi
  "${compose[@]}" build -q migrate
  "${compose[@]}" up -d postgres
}

sqlmigrate() {
  if [[ -n $docker ]]; then "${compose[@]}" run --rm -T migrate "$@"; else .venv/bin/sqlmigrate "$@"; fi
}

if [[ -n $clean ]]; then remove; fi
prepare
if [[ -n $rollback ]]; then
  sqlmigrate rollback --version "$target" --yes
else
  sqlmigrate migrate
fi
sqlmigrate status
