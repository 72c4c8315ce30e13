"""Running the files on a throw-away server, and what the server reports about each statement."""
