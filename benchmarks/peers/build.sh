#!/usr/bin/env bash
# Builds the tools that the benchmark `peers` compares with in .local/peers; needs Go, npm, Maven and a JDK. Builds only
# what is missing: remove .local/peers after a change of a version.
set -euo pipefail
cd "$(dirname "$0")"

peers=$PWD/../../.local/peers
mkdir -p "$peers"
export GOBIN=$peers

# Without these tags goose has a driver for each of its databases, which takes minutes to compile.
other='no_clickhouse no_duckdb no_libsql no_mssql no_mysql no_sqlite3 no_starrocks no_turso no_vertica no_ydb'
[[ -x $peers/goose ]] || go install -tags "$other" github.com/pressly/goose/v3/cmd/goose@v3.30.0
[[ -x $peers/migrate ]] || go install -tags postgres github.com/golang-migrate/migrate/v4/cmd/migrate@v4.20.1
[[ -x $peers/tern ]] || go install github.com/jackc/tern/v2@v2.4.1

if [[ ! -x $peers/dbmate ]]; then
  npm install --silent --no-save --ignore-scripts --prefix "$peers/npm" dbmate@2.36.0
  ln -sf "$(echo "$peers"/npm/node_modules/@dbmate/linux-*/bin/dbmate)" "$peers/dbmate"
fi

if [[ ! -f $peers/flyway/Migrate.class ]]; then
  mvn -q -B -f flyway/pom.xml dependency:copy-dependencies -DoutputDirectory="$peers/flyway"
  javac -cp "$peers/flyway/*" -d "$peers/flyway" flyway/Migrate.java
fi
