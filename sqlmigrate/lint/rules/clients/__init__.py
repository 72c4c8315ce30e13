"""Rules about changes that break clients or lose data."""
