"""What runs on a throw-away database: the files, their down files, and the comparison with a live database."""
