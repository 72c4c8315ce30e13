-- Takes back the Alertmanager clusters.

drop table alertmanager_clusters;
