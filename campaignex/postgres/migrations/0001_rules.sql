-- Campaigns, exclusions and quotes. Deleted rules stay as tombstones with their versions, which
-- go on counting if they are created again. Decimals are whole billionths, so that they are exact
-- in every database and every driver.

CREATE TABLE campaigns (
	id                       UUID PRIMARY KEY,
	version                  BIGINT NOT NULL CHECK (version > 0),
	deleted                  BOOLEAN NOT NULL,
	name                     TEXT NOT NULL,
	min_spend_billionths     BIGINT NOT NULL CHECK (min_spend_billionths >= 0),
	start_date               TEXT NOT NULL, -- YYYY-MM-DD
	end_date                 TEXT NOT NULL,
	reward_program           TEXT NOT NULL,
	reward_amount_billionths BIGINT NOT NULL CHECK (reward_amount_billionths >= 0),
	mcc                      TEXT NOT NULL,
	merchant                 TEXT NOT NULL,
	base_reward              BOOLEAN NOT NULL,
	foreign_currency         BOOLEAN NOT NULL,
	search                   TEXT NOT NULL, -- name and merchant in one case
	updated_at               TIMESTAMPTZ NOT NULL,
	updated_by               TEXT NOT NULL,
	CHECK (start_date <= end_date)
);

CREATE INDEX campaigns_by_programme ON campaigns (reward_program, start_date) WHERE NOT deleted;

CREATE TABLE campaign_versions (
	id      UUID NOT NULL REFERENCES campaigns (id),
	version BIGINT NOT NULL,
	action  TEXT NOT NULL,
	who     TEXT NOT NULL,
	at      TIMESTAMPTZ NOT NULL,
	before  JSON,
	after   JSON,
	PRIMARY KEY (id, version)
);

CREATE TABLE exclusions (
	id         UUID PRIMARY KEY,
	version    BIGINT NOT NULL CHECK (version > 0),
	deleted    BOOLEAN NOT NULL,
	mcc        INTEGER NOT NULL CHECK (mcc BETWEEN 1 AND 9999),
	valid_from TEXT NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	updated_by TEXT NOT NULL
);

CREATE TABLE exclusion_versions (
	id      UUID NOT NULL REFERENCES exclusions (id),
	version BIGINT NOT NULL,
	action  TEXT NOT NULL,
	who     TEXT NOT NULL,
	at      TIMESTAMPTZ NOT NULL,
	before  JSON,
	after   JSON,
	PRIMARY KEY (id, version)
);

-- The quotes of a day; the id is the date.
CREATE TABLE quotes (
	id         TEXT PRIMARY KEY,
	version    BIGINT NOT NULL CHECK (version > 0),
	deleted    BOOLEAN NOT NULL,
	base       TEXT NOT NULL,
	quotes     JSON NOT NULL, -- units of each currency for one of the base
	updated_at TIMESTAMPTZ NOT NULL,
	updated_by TEXT NOT NULL
);

CREATE TABLE quote_versions (
	id      TEXT NOT NULL REFERENCES quotes (id),
	version BIGINT NOT NULL,
	action  TEXT NOT NULL,
	who     TEXT NOT NULL,
	at      TIMESTAMPTZ NOT NULL,
	before  JSON,
	after   JSON,
	PRIMARY KEY (id, version)
);

-- What is published: the quotes of a year, whose version counts the changes of its days.
CREATE TABLE quote_years (
	year    TEXT PRIMARY KEY,
	version BIGINT NOT NULL CHECK (version > 0)
);
