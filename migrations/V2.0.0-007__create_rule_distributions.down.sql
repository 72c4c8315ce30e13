-- Takes back the rule distributions.

-- Dropping the foreign key locks rules for a moment; the lock timeout of sqlmigrate bounds that.
drop table rule_distributions;
