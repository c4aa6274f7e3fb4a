CREATE TABLE public.card_type_versions (
    id text NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    who text NOT NULL,
    at timestamp with time zone NOT NULL,
    before json,
    after json
);
CREATE TABLE public.card_types (
    id text NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL,
    name text NOT NULL,
    reward_unit text NOT NULL,
    reward_program text NOT NULL,
    decimals integer NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT card_types_decimals_check CHECK (((decimals >= 0) AND (decimals <= 4))),
    CONSTRAINT card_types_version_check CHECK ((version > 0))
);
CREATE TABLE public.card_versions (
    id uuid NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    who text NOT NULL,
    at timestamp with time zone NOT NULL,
    before json,
    after json
);
CREATE TABLE public.cards (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    card_pan text NOT NULL,
    pan_hmac text NOT NULL,
    card_type text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT cards_version_check CHECK ((version > 0))
);
CREATE TABLE public.client_secrets (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    hash text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    revoked_at timestamp with time zone
);
CREATE TABLE public.credentials (
    user_id uuid NOT NULL,
    hash text NOT NULL,
    first boolean NOT NULL,
    expires_at timestamp with time zone,
    changed_at timestamp with time zone NOT NULL
);
CREATE TABLE public.first_mails (
    user_id uuid NOT NULL,
    sealed text NOT NULL,
    message_id text NOT NULL,
    email_key text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    claimed_until timestamp with time zone NOT NULL
);
CREATE TABLE public.merchant_limits (
    user_id uuid NOT NULL,
    limits json NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    updated_by text NOT NULL
);
CREATE TABLE public.merchant_reservations (
    user_id uuid NOT NULL,
    card_id uuid NOT NULL,
    transaction_date text NOT NULL,
    transaction_id uuid NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT merchant_reservations_amount_check CHECK ((amount >= 0))
);
CREATE TABLE public.merchant_spend (
    user_id uuid NOT NULL,
    day text NOT NULL,
    currency text NOT NULL,
    spent bigint NOT NULL,
    CONSTRAINT merchant_spend_spent_check CHECK ((spent >= 0))
);
CREATE TABLE public.outbox (
    kind text NOT NULL,
    rule_id text NOT NULL,
    version bigint NOT NULL,
    held boolean NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE public.password_resets (
    user_id uuid NOT NULL,
    hash text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.rate_limits (
    bucket text NOT NULL,
    recent text NOT NULL,
    until_ms bigint NOT NULL
);
CREATE TABLE public.refresh_families (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    session_version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone
);
CREATE TABLE public.refresh_tokens (
    hash text NOT NULL,
    family_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);
CREATE TABLE public.reward_mail_days (
    day text NOT NULL,
    ended_at timestamp with time zone NOT NULL
);
CREATE TABLE public.reward_mails (
    user_id uuid NOT NULL,
    day text NOT NULL,
    message_id text NOT NULL,
    rows bytea NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    refused boolean NOT NULL
);
CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL
);
CREATE TABLE public.totp_factors (
    user_id uuid NOT NULL,
    secret text NOT NULL,
    confirmed boolean NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.user_versions (
    id uuid NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    who text NOT NULL,
    at timestamp with time zone NOT NULL,
    before json,
    after json
);
CREATE TABLE public.users (
    id uuid NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    phone text NOT NULL,
    email text NOT NULL,
    email_key text,
    search text DEFAULT ''::text NOT NULL,
    role text NOT NULL,
    is_new boolean NOT NULL,
    locked boolean NOT NULL,
    reward_emails boolean NOT NULL,
    session_version bigint NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT users_session_version_check CHECK ((session_version > 0)),
    CONSTRAINT users_version_check CHECK ((version > 0))
);
INSERT INTO public.card_type_versions VALUES ('gold', 1, 'created', 'ann', '2021-09-01 12:00:00.123+00', NULL, '{"card_type":"gold","name":"Gold","reward_unit":"miles","reward_program":"Miles","decimals":2}');
INSERT INTO public.card_type_versions VALUES ('gold', 2, 'deleted', 'bob', '2021-09-01 12:00:00.123+00', '{"card_type":"gold","name":"Gold","reward_unit":"miles","reward_program":"Miles","decimals":2}', NULL);
INSERT INTO public.card_type_versions VALUES ('gold', 3, 'created', 'cem', '2021-09-01 12:00:00.123+00', NULL, '{"card_type":"gold","name":"Gold","reward_unit":"miles","reward_program":"Miles","decimals":2}');
INSERT INTO public.card_types VALUES ('gold', 3, false, 'Gold', 'miles', 'Miles', 2, '2021-09-01 12:00:00.123+00', 'cem');
INSERT INTO public.card_versions VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000003', 1, 'created', 'bob', '2021-09-01 12:00:00.123+00', NULL, '{"card_pan":"************1111","card_type":"gold","id":"6a0ea1a5-7f1c-4a1b-9a4f-000000000003","user_id":"6a0ea1a5-7f1c-4a1b-9a4f-000000000002"}');
INSERT INTO public.cards VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000003', '6a0ea1a5-7f1c-4a1b-9a4f-000000000002', '************1111', 'hmac', 'gold', 1, '2021-09-01 12:00:00.123+00', '2021-09-01 12:00:00.123+00', NULL);
INSERT INTO public.credentials VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000002', 'hash', true, '2021-09-01 12:00:00.123+00', '2021-09-01 12:00:00.123+00');
INSERT INTO public.outbox VALUES ('cardtype', 'gold', 3, false, '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0000_outbox.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0001_card_types.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0002_users.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0003_sign_in.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0004_reward_mails.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0005_first_mails.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.user_versions VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000002', 1, 'created', 'ann', '2021-09-01 12:00:00.123+00', NULL, '{"Role":"user","email":"ann@example.com","first_name":"Größe ''2'' \\ ;\n","id":"6a0ea1a5-7f1c-4a1b-9a4f-000000000002","last_name":"","locked":false,"phone":"","reward_emails":false}');
INSERT INTO public.users VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000002', 'Größe ''2'' \ ;
', '', '', 'ann@example.com', 'ann@example.com', 'größe ''2'' \ ;
  größe ''2'' \ ;
ann@example.com', 'user', true, false, false, 1, 1, '2021-09-01 12:00:00.123+00', '2021-09-01 12:00:00.123+00', NULL);
ALTER TABLE ONLY public.card_type_versions
    ADD CONSTRAINT card_type_versions_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY public.card_types
    ADD CONSTRAINT card_types_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.card_versions
    ADD CONSTRAINT card_versions_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY public.cards
    ADD CONSTRAINT cards_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.client_secrets
    ADD CONSTRAINT client_secrets_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.client_secrets
    ADD CONSTRAINT client_secrets_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT credentials_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.first_mails
    ADD CONSTRAINT first_mails_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.merchant_limits
    ADD CONSTRAINT merchant_limits_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.merchant_reservations
    ADD CONSTRAINT merchant_reservations_pkey PRIMARY KEY (user_id, card_id, transaction_date, transaction_id, currency);
ALTER TABLE ONLY public.merchant_spend
    ADD CONSTRAINT merchant_spend_pkey PRIMARY KEY (user_id, day, currency);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (kind, rule_id);
ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (bucket);
ALTER TABLE ONLY public.refresh_families
    ADD CONSTRAINT refresh_families_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY public.reward_mail_days
    ADD CONSTRAINT reward_mail_days_pkey PRIMARY KEY (day);
ALTER TABLE ONLY public.reward_mails
    ADD CONSTRAINT reward_mails_pkey PRIMARY KEY (user_id, day);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.totp_factors
    ADD CONSTRAINT totp_factors_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.user_versions
    ADD CONSTRAINT user_versions_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key_key UNIQUE (email_key);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX cards_by_pan ON public.cards USING btree (pan_hmac);
CREATE INDEX cards_by_type ON public.cards USING btree (card_type);
CREATE INDEX cards_of_user ON public.cards USING btree (user_id, id);
CREATE INDEX client_secrets_of_user ON public.client_secrets USING btree (user_id, created_at);
CREATE INDEX merchant_reservations_by_time ON public.merchant_reservations USING btree (at);
CREATE INDEX merchant_spend_by_day ON public.merchant_spend USING btree (day);
CREATE INDEX rate_limits_by_end ON public.rate_limits USING btree (until_ms);
CREATE INDEX refresh_families_by_end ON public.refresh_families USING btree (expires_at);
CREATE INDEX refresh_families_of_user ON public.refresh_families USING btree (user_id);
CREATE INDEX refresh_tokens_of_family ON public.refresh_tokens USING btree (family_id);
CREATE INDEX users_by_name ON public.users USING btree (last_name, first_name, id);
CREATE INDEX users_by_role ON public.users USING btree (role);
ALTER TABLE ONLY public.card_type_versions
    ADD CONSTRAINT card_type_versions_id_fkey FOREIGN KEY (id) REFERENCES public.card_types(id);
ALTER TABLE ONLY public.card_versions
    ADD CONSTRAINT card_versions_id_fkey FOREIGN KEY (id) REFERENCES public.cards(id);
ALTER TABLE ONLY public.cards
    ADD CONSTRAINT cards_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_family_id_fkey FOREIGN KEY (family_id) REFERENCES public.refresh_families(id);
ALTER TABLE ONLY public.reward_mails
    ADD CONSTRAINT reward_mails_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.user_versions
    ADD CONSTRAINT user_versions_id_fkey FOREIGN KEY (id) REFERENCES public.users(id);
