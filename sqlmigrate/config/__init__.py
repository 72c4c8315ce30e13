"""Settings: which there are, and their values from the command line, the environment and the configuration file."""
