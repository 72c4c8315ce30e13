"""Renders results, events and errors: as text (`text`), as JSON (`as_json`) and in other formats. Prints nothing."""
