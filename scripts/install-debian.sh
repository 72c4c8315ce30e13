#!/usr/bin/env bash
# What the tests on PostgreSQL 15, behind PgBouncer, in a browser and in other shells need, from Debian's packages.
# Does nothing where it is there.
set -euo pipefail

packages=()
[[ -x /usr/lib/postgresql/15/bin/initdb ]] || packages+=(postgresql-15)
[[ -x /usr/sbin/pgbouncer ]] || packages+=(pgbouncer)
command -v zsh >/dev/null || packages+=(zsh)
command -v fish >/dev/null || packages+=(fish)
[[ -x /usr/bin/promtool ]] || packages+=(prometheus)
[[ -x /usr/bin/systemd-analyze ]] || packages+=(systemd)
[[ -x /usr/bin/chromium ]] || packages+=(chromium)
((${#packages[@]})) || exit 0

as_root=()
((EUID == 0)) || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
