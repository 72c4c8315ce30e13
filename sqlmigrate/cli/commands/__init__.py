"""The commands, in one module for each heading of the help."""
