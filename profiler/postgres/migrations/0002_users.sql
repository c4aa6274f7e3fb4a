-- Accounts of people and of merchants. A deleted one keeps its row, without anything personal, so that
-- its id and its cards' ids are never given to others.
CREATE TABLE users (
	id              UUID PRIMARY KEY,
	first_name      TEXT NOT NULL,
	last_name       TEXT NOT NULL,
	phone           TEXT NOT NULL, -- E.164, or ''
	email           TEXT NOT NULL, -- as it was written
	email_key       TEXT UNIQUE,   -- in lower case; none for a deleted account
	search          TEXT NOT NULL DEFAULT '', -- names and email in lower case
	role            TEXT NOT NULL,
	is_new          BOOLEAN NOT NULL,
	locked          BOOLEAN NOT NULL,
	reward_emails   BOOLEAN NOT NULL,
	session_version BIGINT NOT NULL CHECK (session_version > 0),
	version         BIGINT NOT NULL CHECK (version > 0),
	created_at      TIMESTAMPTZ NOT NULL,
	updated_at      TIMESTAMPTZ NOT NULL,
	deleted_at      TIMESTAMPTZ
);

CREATE INDEX users_by_name ON users (last_name, first_name, id);

CREATE INDEX users_by_role ON users (role);

CREATE TABLE user_versions (
	id      UUID NOT NULL REFERENCES users (id),
	version BIGINT NOT NULL,
	action  TEXT NOT NULL,
	who     TEXT NOT NULL,
	at      TIMESTAMPTZ NOT NULL,
	before  JSON,
	after   JSON,
	PRIMARY KEY (id, version)
);

-- The row of a deleted card stays as its tombstone: a card id belongs to one account for ever.
CREATE TABLE cards (
	id         UUID PRIMARY KEY,
	user_id    UUID NOT NULL REFERENCES users (id),
	card_pan   TEXT NOT NULL, -- masked
	pan_hmac   TEXT NOT NULL, -- HMAC-SHA256 of its digits, in hex
	card_type  TEXT NOT NULL,
	version    BIGINT NOT NULL CHECK (version > 0),
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	deleted_at TIMESTAMPTZ
);

CREATE INDEX cards_of_user ON cards (user_id, id);

CREATE INDEX cards_by_pan ON cards (pan_hmac);

CREATE INDEX cards_by_type ON cards (card_type);

CREATE TABLE card_versions (
	id      UUID NOT NULL REFERENCES cards (id),
	version BIGINT NOT NULL,
	action  TEXT NOT NULL,
	who     TEXT NOT NULL,
	at      TIMESTAMPTZ NOT NULL,
	before  JSON,
	after   JSON,
	PRIMARY KEY (id, version)
);

-- What an account signs in with. A first password is one that others have seen: it ends at expires_at,
-- and is good for nothing but being changed. An account without a row has never had a password.
CREATE TABLE credentials (
	user_id    UUID PRIMARY KEY,
	hash       TEXT NOT NULL, -- '': no password fits
	first      BOOLEAN NOT NULL,
	expires_at TIMESTAMPTZ,
	changed_at TIMESTAMPTZ NOT NULL
);
