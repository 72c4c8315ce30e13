-- Takes back the alerts.

drop table alerts;
