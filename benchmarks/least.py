"""The least that runs the files of a directory and records each: one message and one transaction per file."""

import os
import sys
from pathlib import Path

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    connection.execute("create table history (name text primary key, applied_at timestamptz not null default now())")
    for path in sorted(Path(sys.argv[1]).glob("*.up.sql")):
        record = f"insert into history (name) values ('{path.name}')"
        connection.execute(f"begin; {path.read_text()}; {record}; commit".encode())
