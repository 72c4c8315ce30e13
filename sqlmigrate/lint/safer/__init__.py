"""Complete SQL to write instead of a statement, made from the statement's tree and the schema."""
