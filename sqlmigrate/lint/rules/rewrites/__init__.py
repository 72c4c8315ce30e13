"""Rules about table rewrites and full table scans under a blocking lock."""
