#!/usr/bin/env bash
# Installs the Debian packages that some tests need: PostgreSQL 15, PgBouncer, other shells, promtool, logrotate,
# systemd-analyze and Chromium. Does nothing if the programs are installed.
set -euo pipefail

packages=()
[[ -x /usr/lib/postgresql/15/bin/initdb ]] || packages+=(postgresql-15)
[[ -x /usr/sbin/pgbouncer ]] || packages+=(pgbouncer)
command -v zsh >/dev/null || packages+=(zsh)
command -v fish >/dev/null || packages+=(fish)
[[ -x /usr/bin/promtool ]] || packages+=(prometheus)
[[ -x /usr/sbin/logrotate ]] || packages+=(logrotate)
[[ -x /usr/bin/systemd-analyze ]] || packages+=(systemd)
[[ -x /usr/bin/chromium ]] || packages+=(chromium)
((${#packages[@]})) || exit 0

as_root=()
((EUID == 0)) || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
