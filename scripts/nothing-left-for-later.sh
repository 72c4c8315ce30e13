#!/usr/bin/env bash
# Fails if a file contains a marker for unfinished work, and shows the lines.
set -euo pipefail
cd "$(dirname "$0")/.."

words='TO''DO|FIX''ME|X''XX'
if git grep -nwE "$words" -- sqlmigrate tests scripts migrations benchmarks examples '*.yml' Makefile Dockerfile; then
  exit 1
fi
