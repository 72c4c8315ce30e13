-- Takes back the automation actions.

-- Dropping the foreign key locks alerts for a moment; the lock timeout of sqlmigrate bounds that.
drop table automation_actions;
