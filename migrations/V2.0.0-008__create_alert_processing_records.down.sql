-- Takes back the alert processing records.

-- Dropping the foreign key locks alerts for a moment; the lock timeout of sqlmigrate bounds that.
drop table alert_processing_records;
