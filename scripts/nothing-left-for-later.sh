#!/usr/bin/env bash
# Fails where a file says that something is still to be done, and shows where.
set -euo pipefail
cd "$(dirname "$0")/.."

words='TO''DO|FIX''ME|X''XX'
if git grep -nwE "$words" -- sqlmigrate tests scripts migrations benchmarks examples '*.yml' Makefile Dockerfile; then
  exit 1
fi
