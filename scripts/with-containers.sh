#!/usr/bin/env bash
# Runs a command where containers can be had, and says on which engine and images.
#
#   with-containers.sh --check      only says it; exit code 1 where there are none
#   with-containers.sh COMMAND …    runs it with PYTHON_IMAGE, POSTGRES_IMAGE, CLIENT_IMAGE and COMPOSE set
#   with-containers.sh --stop       stops the engine, where the stand-ins' script has started it
#
# Stand-ins for the images, for a machine that reaches no image registry, come from the script that CONTAINER_STANDINS
# names, or ../shared/containers/standins.sh where it exists. Elsewhere the official images are used.
set -euo pipefail

say() { printf 'containers: %s\n' "$*" >&2; }

standins=${CONTAINER_STANDINS:-$(dirname "$0")/../../shared/containers/standins.sh}
reason='no engine answers: install Docker Engine, and start it'
if [[ ${1:-} == --stop ]]; then
  [[ ! -f $standins ]] || exec "$BASH" "$standins" stop
  exit 0
fi
if [[ -f $standins ]]; then
  if made=$(timeout 600 "$BASH" "$standins" 2>&1); then
    export PATH=/usr/bin:$PATH # the client beside the engine, of its version
    export PYTHON_IMAGE=standin/python:3.11-slim POSTGRES_IMAGE=standin/postgres:15 CLIENT_IMAGE=standin/postgres:15
    export TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=localhost
    images="the stand-ins $PYTHON_IMAGE and $POSTGRES_IMAGE"
  else
    reason="the stand-ins could not be made: $(tail -1 <<<"$made")"
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
