#!/usr/bin/env bash
# What the tests on PostgreSQL 15, behind PgBouncer and in a browser need, from Debian's packages. Does nothing where it is there.
set -euo pipefail

packages=()
[[ -x /usr/lib/postgresql/15/bin/initdb ]] || packages+=(postgresql-15)
[[ -x /usr/sbin/pgbouncer ]] || packages+=(pgbouncer)
[[ -x /usr/bin/chromium ]] || packages+=(chromium)
((${#packages[@]})) || exit 0

as_root=()
((EUID == 0)) || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null
