"""The schema that the files create: a catalog, and the changes that statements make to it."""
