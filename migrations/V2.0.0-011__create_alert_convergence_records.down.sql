-- Takes back the alert convergence records.

-- Dropping the foreign keys locks rules and alerts for a moment; the lock timeout of sqlmigrate bounds that.
drop table alert_convergence_records;
