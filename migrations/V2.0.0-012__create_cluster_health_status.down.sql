-- Takes back the cluster health status.

drop table cluster_health_status;
