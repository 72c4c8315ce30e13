"""What is to be run, and whether it may be: plans, plan files, reviews, approvals, repairs."""
