"""The connection to PostgreSQL, and what lives on it: the session, the migration lock, the monitor."""
