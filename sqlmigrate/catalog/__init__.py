"""The schema of a database as a value: each object with its definition, by kind and identity."""
