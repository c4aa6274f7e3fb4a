-- Sign-in. Refresh tokens, links for forgotten passwords and clients' secrets are kept as SHA-256 in
-- hexadecimal: they are random enough that nothing slower is needed. The accounts are rows of users,
-- which stay when they are deleted.

-- A family is what one sign-in began: each refresh token of it replaces the one before. It is dead
-- when it was ended, and when its session version is not the account's.
CREATE TABLE refresh_families (
	id              UUID PRIMARY KEY,
	user_id         UUID NOT NULL,
	session_version BIGINT NOT NULL,
	created_at      TIMESTAMPTZ NOT NULL,
	expires_at      TIMESTAMPTZ NOT NULL,
	ended_at        TIMESTAMPTZ
);

CREATE INDEX refresh_families_of_user ON refresh_families (user_id);

CREATE INDEX refresh_families_by_end ON refresh_families (expires_at);

-- A used token stays as long as its family, so that its second use is seen.
CREATE TABLE refresh_tokens (
	hash       TEXT PRIMARY KEY,
	family_id  UUID NOT NULL REFERENCES refresh_families (id),
	expires_at TIMESTAMPTZ NOT NULL,
	used_at    TIMESTAMPTZ
);

CREATE INDEX refresh_tokens_of_family ON refresh_tokens (family_id);

-- The one link that an account may have at a time.
CREATE TABLE password_resets (
	user_id    UUID PRIMARY KEY,
	hash       TEXT NOT NULL UNIQUE,
	expires_at TIMESTAMPTZ NOT NULL
);

-- Second factors (RFC 6238). The secret is encrypted under a key that is not in the database.
CREATE TABLE totp_factors (
	user_id    UUID PRIMARY KEY,
	secret     TEXT NOT NULL,
	confirmed  BOOLEAN NOT NULL,
	last_step  BIGINT NOT NULL, -- of the last code that was taken: none is taken twice
	created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE client_secrets (
	id         UUID PRIMARY KEY,
	user_id    UUID NOT NULL,
	hash       TEXT NOT NULL UNIQUE,
	created_at TIMESTAMPTZ NOT NULL,
	created_by TEXT NOT NULL,
	revoked_at TIMESTAMPTZ
);

CREATE INDEX client_secrets_of_user ON client_secrets (user_id, created_at);

CREATE TABLE merchant_limits (
	user_id    UUID PRIMARY KEY,
	limits     JSON NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	updated_by TEXT NOT NULL
);

-- What a merchant has spent on a day of the bank's, in minor units of the currency.
CREATE TABLE merchant_spend (
	user_id  UUID NOT NULL,
	day      TEXT NOT NULL, -- YYYY-MM-DD
	currency TEXT NOT NULL,
	spent    BIGINT NOT NULL CHECK (spent >= 0),
	PRIMARY KEY (user_id, day, currency)
);

CREATE INDEX merchant_spend_by_day ON merchant_spend (day);

-- The transactions in that, so that none counts twice.
CREATE TABLE merchant_reservations (
	user_id          UUID NOT NULL,
	card_id          UUID NOT NULL,
	transaction_date TEXT NOT NULL, -- YYYY-MM-DD
	transaction_id   UUID NOT NULL,
	currency         TEXT NOT NULL,
	amount           BIGINT NOT NULL CHECK (amount >= 0),
	at               TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (user_id, card_id, transaction_date, transaction_id, currency)
);

CREATE INDEX merchant_reservations_by_time ON merchant_reservations (at);

-- The tries that limits count, by the hash of what is limited.
CREATE TABLE rate_limits (
	bucket   TEXT PRIMARY KEY,
	recent   TEXT NOT NULL,   -- when the tries of the window were, in milliseconds since 1970
	until_ms BIGINT NOT NULL -- when none of them counts any more
);

CREATE INDEX rate_limits_by_end ON rate_limits (until_ms);
