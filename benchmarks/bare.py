"""The least that any migrator must do: import psycopg, connect, read and hash the files, select the rows."""

import hashlib
import os
import sys
from pathlib import Path

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    for path in sorted(Path(sys.argv[1]).glob("*.sql")):
        hashlib.sha256(path.read_bytes()).hexdigest()
    connection.execute("select version, checksum, success from migrations").fetchall()
