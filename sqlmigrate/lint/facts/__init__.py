"""Questions that several rules ask about a statement or the schema."""
