-- Accounts of people and of merchants. A deleted one keeps its row, without anything personal, so that
-- its id and its cards' ids are never given to others.
CREATE TABLE users (
	id UUID PRIMARY KEY,
	first_name TEXT NOT NULL,
	last_name TEXT NOT NULL,
	phone TEXT NOT NULL,
	email TEXT NOT NULL,
	email_key TEXT UNIQUE,
	role TEXT NOT NULL,
	is_new BOOLEAN NOT NULL,
	locked BOOLEAN NOT NULL,
	reward_emails BOOLEAN NOT NULL,
	session_version BIGINT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	deleted_at TIMESTAMPTZ
);

CREATE INDEX users_by_name ON users (last_name, first_name, id);

CREATE TABLE user_versions (
	user_id UUID NOT NULL,
	version BIGINT NOT NULL,
	action TEXT NOT NULL,
	who TEXT NOT NULL,
	at TIMESTAMPTZ NOT NULL,
	before JSON,
	after JSON,
	PRIMARY KEY (user_id, version)
);

-- The row of a deleted card stays as its tombstone.
CREATE TABLE cards (
	id UUID PRIMARY KEY,
	user_id UUID NOT NULL,
	card_pan TEXT NOT NULL,
	pan_hmac TEXT NOT NULL,
	card_type TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	deleted_at TIMESTAMPTZ
);

CREATE INDEX cards_of_user ON cards (user_id, id);

CREATE INDEX cards_by_pan ON cards (pan_hmac);

CREATE TABLE card_versions (
	card_id UUID NOT NULL,
	version BIGINT NOT NULL,
	action TEXT NOT NULL,
	who TEXT NOT NULL,
	at TIMESTAMPTZ NOT NULL,
	before JSON,
	after JSON,
	PRIMARY KEY (card_id, version)
);

-- What an account signs in with. A first password is one that others have seen: it ends at expires_at,
-- and is good for nothing but being changed.
CREATE TABLE credentials (
	user_id UUID PRIMARY KEY,
	hash TEXT NOT NULL,
	first BOOLEAN NOT NULL,
	expires_at TIMESTAMPTZ,
	changed_at TIMESTAMPTZ NOT NULL
);
