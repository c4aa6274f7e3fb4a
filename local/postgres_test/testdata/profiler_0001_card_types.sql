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
CREATE TABLE public.outbox (
    kind text NOT NULL,
    rule_id text NOT NULL,
    version bigint NOT NULL,
    held boolean NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL
);
INSERT INTO public.card_type_versions VALUES ('gold', 1, 'created', 'ann', '2021-09-01 12:00:00.123+00', NULL, '{"card_type":"gold","name":"Gold","reward_unit":"miles","reward_program":"Miles","decimals":2}');
INSERT INTO public.card_type_versions VALUES ('gold', 2, 'deleted', 'bob', '2021-09-01 12:00:00.123+00', '{"card_type":"gold","name":"Gold","reward_unit":"miles","reward_program":"Miles","decimals":2}', NULL);
INSERT INTO public.card_type_versions VALUES ('gold', 3, 'created', 'cem', '2021-09-01 12:00:00.123+00', NULL, '{"card_type":"gold","name":"Gold","reward_unit":"miles","reward_program":"Miles","decimals":2}');
INSERT INTO public.card_types VALUES ('gold', 3, false, 'Gold', 'miles', 'Miles', 2, '2021-09-01 12:00:00.123+00', 'cem');
INSERT INTO public.outbox VALUES ('cardtype', 'gold', 3, false, '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0000_outbox.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0001_card_types.sql', '2021-09-01 12:00:00.123+00');
ALTER TABLE ONLY public.card_type_versions
    ADD CONSTRAINT card_type_versions_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY public.card_types
    ADD CONSTRAINT card_types_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (kind, rule_id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.card_type_versions
    ADD CONSTRAINT card_type_versions_id_fkey FOREIGN KEY (id) REFERENCES public.card_types(id);
