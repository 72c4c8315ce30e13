"""The history tables: their format, the SQL that writes to them, and the queries that read the log."""
