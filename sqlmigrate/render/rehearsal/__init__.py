"""Rehearsals as text, Markdown, an HTML page, and data for JSON."""
