-- The ledger of reward mails: which mail of which of the bank's days tells an account of which rewards.
-- A mail is entered before it is sent and ended when the mail system has taken or refused it, so that one
-- whose sending was cut off is sent again with the same rewards under the same Message-ID.
CREATE TABLE reward_mails (
	user_id    UUID NOT NULL REFERENCES users (id),
	day        TEXT NOT NULL, -- YYYY-MM-DD
	message_id TEXT NOT NULL,
	rows       BYTEA NOT NULL, -- 16 bytes for each reward
	begun_at   TIMESTAMPTZ NOT NULL,
	ended_at   TIMESTAMPTZ,
	refused    BOOLEAN NOT NULL, -- by the mail system, for good
	PRIMARY KEY (user_id, day)
);

-- The days of which every mail was sent.
CREATE TABLE reward_mail_days (
	day      TEXT PRIMARY KEY, -- YYYY-MM-DD
	ended_at TIMESTAMPTZ NOT NULL
);
