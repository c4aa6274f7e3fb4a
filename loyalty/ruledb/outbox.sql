-- Rules that wait to be published: one row a rule, whatever the number of its changes.
CREATE TABLE outbox (
	kind    TEXT NOT NULL,
	rule_id TEXT NOT NULL,
	version BIGINT NOT NULL,
	held    BOOLEAN NOT NULL, -- etcd has it newer; waits for a person
	since   TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (kind, rule_id)
);
