-- Deleted card types stay as tombstones with their versions, which go on counting if they are
-- created again.

CREATE TABLE card_types (
	id             TEXT PRIMARY KEY, -- card_type
	version        BIGINT NOT NULL CHECK (version > 0),
	deleted        BOOLEAN NOT NULL,
	name           TEXT NOT NULL,
	reward_unit    TEXT NOT NULL,
	reward_program TEXT NOT NULL,
	decimals       INTEGER NOT NULL CHECK (decimals BETWEEN 0 AND 4),
	updated_at     TIMESTAMPTZ NOT NULL,
	updated_by     TEXT NOT NULL
);

CREATE TABLE card_type_versions (
	id      TEXT NOT NULL REFERENCES card_types (id),
	version BIGINT NOT NULL,
	action  TEXT NOT NULL,
	who     TEXT NOT NULL,
	at      TIMESTAMPTZ NOT NULL,
	before  JSON,
	after   JSON,
	PRIMARY KEY (id, version)
);
