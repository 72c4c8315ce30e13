"""The schema that the files make: a catalog, and how each statement changes it."""
