#!/usr/bin/env bash
# Runs a command if a container engine is available, and reports the engine and the images.
#
#   with-containers.sh --check      only reports them; exits with 1 if no engine is available
#   with-containers.sh COMMAND …    runs it with PYTHON_IMAGE, POSTGRES_IMAGE, CLIENT_IMAGE and COMPOSE set
#   with-containers.sh --stop       stops the engine if the script of the stand-ins started it
#
# A machine that cannot reach an image registry needs a script that builds stand-ins for the images: CONTAINER_STANDINS
# names it, by default ../shared/containers/standins.sh. If the script does not exist, the official images are used.
set -euo pipefail

say() { printf 'containers: %s\n' "$*" >&2; }

standins=${CONTAINER_STANDINS:-$(dirname "$0")/../../shared/containers/standins.sh}
reason='no container engine answers: install and start Docker Engine'
if [[ ${1:-} == --stop ]]; then
  [[ ! -f $standins ]] || exec "$BASH" "$standins" stop
  exit 0
fi
if [[ -f $standins ]]; then
  if made=$(timeout 600 "$BASH" "$standins" 2>&1); then
    export PATH=/usr/bin:$PATH # the client of the engine's version
    export PYTHON_IMAGE=standin/python:3.11-slim POSTGRES_IMAGE=standin/postgres:15 CLIENT_IMAGE=standin/postgres:15
    export TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=localhost
    images="the stand-ins $PYTHON_IMAGE and $POSTGRES_IMAGE"
  else
    reason="could not build the stand-ins: $(tail -1 <<<"$made")"
  fi
fi
if ! engine=$(docker version --format '{{.Server.Version}}' 2>/dev/null); then
  say '****************************************************************'
  say 'NOT RUN: nothing was tested in a container.'
  say "$reason"
  say '****************************************************************'
  exit 1
fi
if [[ -z ${COMPOSE:-} ]]; then
  COMPOSE='docker compose'
  if command -v docker-compose >/dev/null; then COMPOSE=docker-compose; fi
fi
export COMPOSE
say "engine $engine, $COMPOSE, ${images:-the official images}"
[[ ${1:-} == --check ]] || exec "$@"
