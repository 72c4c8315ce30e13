"""Rules about transactions and locks."""
