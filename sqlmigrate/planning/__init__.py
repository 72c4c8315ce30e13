"""Decides which migrations to run, and whether they may run: plans, plan files, reviews, approvals, repairs."""
