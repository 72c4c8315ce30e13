"""The settings, and their values from options, the environment and the configuration file."""
