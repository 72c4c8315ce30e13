"""The connection to PostgreSQL and what depends on it: the session, the migration lock, the monitor."""
