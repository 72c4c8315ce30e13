"""Rules about statements that fail or do not do what they seem to do."""
