-- First passwords whose mails the mail system has not taken yet: one that is sent again brings the same
-- password. The row goes when the mail has been taken, or the password is another. See decision 10.
CREATE TABLE first_mails (
	user_id       UUID PRIMARY KEY,
	sealed        TEXT NOT NULL, -- the password, encrypted under a key that is not in the database
	message_id    TEXT NOT NULL,
	email_key     TEXT NOT NULL, -- of the address that it may have gone to
	expires_at    TIMESTAMPTZ NOT NULL,
	claimed_until TIMESTAMPTZ NOT NULL -- nobody else sends it until then
);
