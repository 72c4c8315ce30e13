"""`python -m sqlmigrate`."""

from sqlmigrate.cli import main

main(prog_name="sqlmigrate")
