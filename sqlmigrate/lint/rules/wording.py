"""Phrases that the messages of several rules share."""

BLOCKS_ALL = "under an ACCESS EXCLUSIVE lock, which blocks reads and writes until the transaction ends"
LOCKS_ALL = "takes an ACCESS EXCLUSIVE lock on {}, which blocks reads and writes until the transaction ends"
BLOCKS_WRITES = "under a SHARE lock, which blocks writes until the transaction ends"
REWRITES = "Rewrites the whole table under an ACCESS EXCLUSIVE lock, which blocks reads and writes."
SCANS = "Scans the whole table under an ACCESS EXCLUSIVE lock, which blocks reads and writes."
