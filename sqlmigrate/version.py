"""The version of sqlmigrate and the location of its documentation, in a module without imports."""

__version__ = "0.1.0"
# The location of your copy, as in docs/lint.md.
DOCUMENTATION = f"https://github.com/example/sqlmigrate/blob/v{__version__}/docs"
