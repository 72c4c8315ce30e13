"""What a statement does to tables that are in use, told from its parse tree. Pure.

The tables in `alter`, `taken` and `hidden` are PostgreSQL's own rules: the chapter "Explicit Locking" of its
documentation, the page of each command, and the sources lockcmds.c, tablecmds.c (AlterTableGetLockLevel) and
reloptions.c. tests/integration/test_locks.py holds them against pg_locks, on PostgreSQL 15 and 18.

Nothing here knows the catalog. A table is named as the statement writes it, and what only the catalog tells is left
out: partitions and children, the tables under a view, those that triggers, rules and the checks of foreign keys touch.
Where a statement shuts people out of something that it does not name, `hidden_in` says so.
"""

from sqlmigrate.locks.hidden import hidden_in
from sqlmigrate.locks.losses import cannot_be_undone
from sqlmigrate.locks.modes import Mode, TableLock
from sqlmigrate.locks.taken import created_by, locks_of

__all__ = ["Mode", "TableLock", "cannot_be_undone", "created_by", "hidden_in", "locks_of"]
