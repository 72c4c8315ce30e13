"""Which lock modes conflict: PostgreSQL's table, which holds for locks on every kind of object."""

from __future__ import annotations

# Each mode as pg_locks names it, from 1, the weakest, to 8, the strongest, with the numbers of those it conflicts with.
_TABLE = {
    "AccessShareLock": (8,),
    "RowShareLock": (7, 8),
    "RowExclusiveLock": (5, 6, 7, 8),
    "ShareUpdateExclusiveLock": (4, 5, 6, 7, 8),
    "ShareLock": (3, 4, 6, 7, 8),
    "ShareRowExclusiveLock": (3, 4, 5, 6, 7, 8),
    "ExclusiveLock": (2, 3, 4, 5, 6, 7, 8),
    "AccessExclusiveLock": (1, 2, 3, 4, 5, 6, 7, 8),
}
CONFLICTS = {mode: tuple([*_TABLE][number - 1] for number in numbers) for mode, numbers in _TABLE.items()}
_PAIRS = ", ".join(f"('{mode}', '{other}')" for mode, others in CONFLICTS.items() for other in others)


def conflicting(mode: str, other: str) -> str:
    """Returns SQL that is true if two lock modes, given as SQL, conflict."""
    return f"({mode}, {other}) in ({_PAIRS})"
