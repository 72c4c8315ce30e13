"""SQL text: scan it into statements, group them into a script, parse them. Pure."""
