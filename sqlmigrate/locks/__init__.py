"""The locks of a statement on tables in use, read from its parse tree. Pure.

The tables in `alter`, `taken` and `hidden` are PostgreSQL's own rules: the chapter "Explicit Locking" of its
documentation, the reference page of each command, and the sources lockcmds.c, tablecmds.c (AlterTableGetLockLevel) and
reloptions.c. tests/integration/test_locks.py compares them with pg_locks on PostgreSQL 15 and 18.

Nothing here reads the catalog. A table has the name that the statement writes. Locks that only the catalog shows are
omitted: those on partitions and children, on the tables under a view, and on the tables that triggers, rules and
foreign key checks touch. `hidden_in` reports where a statement blocks the users of a relation that it does not name.
"""

from sqlmigrate.locks.hidden import hidden_in
from sqlmigrate.locks.losses import cannot_be_undone
from sqlmigrate.locks.modes import Mode, TableLock
from sqlmigrate.locks.taken import created_by, exclusive_in, locks_in, locks_of

__all__ = ["Mode", "TableLock", "cannot_be_undone", "created_by", "exclusive_in", "hidden_in", "locks_in", "locks_of"]
