"""Writing migrations: generate, renumber and scaffold files from templates."""
