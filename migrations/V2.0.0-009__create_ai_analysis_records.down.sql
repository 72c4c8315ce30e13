-- Takes back the AI analysis records.

-- Dropping the foreign key locks alerts for a moment; the lock timeout of sqlmigrate bounds that.
drop table ai_analysis_records;
