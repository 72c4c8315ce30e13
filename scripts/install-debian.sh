#!/usr/bin/env bash
# What the tests on PostgreSQL 15 and behind PgBouncer need, from Debian's packages. Does nothing where it is there.
set -euo pipefail

packages=()
[[ -x /usr/lib/postgresql/15/bin/initdb ]] || packages+=(postgresql-15)
[[ -x /usr/sbin/pgbouncer ]] || packages+=(pgbouncer)
((${#packages[@]})) || exit 0

as_root=()
((EUID == 0)) || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null
