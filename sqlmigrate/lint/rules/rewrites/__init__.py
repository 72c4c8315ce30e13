"""Rules about table rewrites and scans under a blocking lock."""
