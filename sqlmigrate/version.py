"""The version of sqlmigrate, in a module without imports."""

__version__ = "0.1.0"
