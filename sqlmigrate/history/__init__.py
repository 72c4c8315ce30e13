"""The history tables: their format, the SQL that writes them, and the queries that read the log."""
