"""How much of a table the catalog keeps: each change of a table takes time in proportion to what it has."""

# PostgreSQL allows 1,600 columns.
COLUMNS = 1600
PARTS = 500
