"""Migration files: find them on disk, name them, read them, write them atomically."""
