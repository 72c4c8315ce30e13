-- Takes back the rules.

drop table rules;
