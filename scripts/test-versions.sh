#!/usr/bin/env bash
# Runs the tests that depend on the server on one PostgreSQL version after the other, and prints a line for each version.
#
#   test-versions.sh                        PostgreSQL 14 to 18
#   test-versions.sh 14 17                  these versions
#   test-versions.sh --sample 10:SEED 14    10 % of the tests, chosen by a seed
set -uo pipefail
cd "$(dirname "$0")/.."

sample=''
if [[ ${1:-} == --sample ]]; then
  sample=$2
  shift 2
fi
scripts/install-versions.sh || exit
logs=.local/versions
mkdir -p $logs

marks='not long and not container and not workflow and not anywhere'
[[ -x /usr/sbin/pgbouncer ]] || marks+=' and not debian' # test_languages.py has a server of its own
parts=(tests/integration tests/faults tests/lint/{server_truth,test_{certain,missed,never_created,versions}}.py
  --ignore tests/integration/test_languages.py)
failed=0
(($#)) || set -- 14 15 16 17 18
for version; do
  started=$SECONDS
  SQLMIGRATE_TEST_SERVER=$version SQLMIGRATE_TEST_SAMPLE=$sample .venv/bin/pytest -n 3 --dist loadfile -m "$marks" \
    "${parts[@]}" >"$logs/$version.log" 2>&1 || failed=1
  grep '^FAILED\|^ERROR' "$logs/$version.log"
  echo "PostgreSQL $version: $(tail -1 "$logs/$version.log" | tr -d =), sample ${sample:-all}, $((SECONDS - started)) s"
done
exit $failed
