"""Running a plan: prepare the scripts, build the messages, send them, recover from failures."""
