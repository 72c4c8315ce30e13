"""Results, events and errors -> text for people (`text`) and data for programs (`shape`). Returns, never prints."""
