-- Takes back what alerts learned; their constraints go with the columns.

-- Everybody who reads alerts waits behind this; the lock timeout of sqlmigrate bounds that.
alter table alerts
    drop column convergence_id,
    drop column ai_analysis_id,
    drop column processing_status,
    drop column channel_id,
    drop column cluster_id;
