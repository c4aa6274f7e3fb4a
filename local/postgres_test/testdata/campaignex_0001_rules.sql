CREATE TABLE public.campaign_versions (
    id uuid NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    who text NOT NULL,
    at timestamp with time zone NOT NULL,
    before json,
    after json
);
CREATE TABLE public.campaigns (
    id uuid NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL,
    name text NOT NULL,
    min_spend_billionths bigint NOT NULL,
    start_date text NOT NULL,
    end_date text NOT NULL,
    reward_program text NOT NULL,
    reward_amount_billionths bigint NOT NULL,
    mcc text NOT NULL,
    merchant text NOT NULL,
    base_reward boolean NOT NULL,
    foreign_currency boolean NOT NULL,
    search text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT campaigns_check CHECK ((start_date <= end_date)),
    CONSTRAINT campaigns_min_spend_billionths_check CHECK ((min_spend_billionths >= 0)),
    CONSTRAINT campaigns_reward_amount_billionths_check CHECK ((reward_amount_billionths >= 0)),
    CONSTRAINT campaigns_version_check CHECK ((version > 0))
);
CREATE TABLE public.exclusion_versions (
    id uuid NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    who text NOT NULL,
    at timestamp with time zone NOT NULL,
    before json,
    after json
);
CREATE TABLE public.exclusions (
    id uuid NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL,
    mcc integer NOT NULL,
    valid_from text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT exclusions_mcc_check CHECK (((mcc >= 1) AND (mcc <= 9999))),
    CONSTRAINT exclusions_version_check CHECK ((version > 0))
);
CREATE TABLE public.outbox (
    kind text NOT NULL,
    rule_id text NOT NULL,
    version bigint NOT NULL,
    held boolean NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE public.quote_versions (
    id text NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    who text NOT NULL,
    at timestamp with time zone NOT NULL,
    before json,
    after json
);
CREATE TABLE public.quote_years (
    year text NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT quote_years_version_check CHECK ((version > 0))
);
CREATE TABLE public.quotes (
    id text NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL,
    base text NOT NULL,
    quotes json NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT quotes_version_check CHECK ((version > 0))
);
CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL
);
INSERT INTO public.campaign_versions VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000001', 1, 'created', 'ann', '2021-09-01 12:00:00.123+00', NULL, '{"id":"6a0ea1a5-7f1c-4a1b-9a4f-000000000001","name":"Kaligo","min_spend":0,"start_date":"2021-09-01T00:00:00Z","end_date":"2021-12-31T00:00:00Z","reward_program":"scis_platinummiles","reward_amount":1.4,"mcc":"3500-3999","merchant":"","base_reward":true,"foreign_currency":false}');
INSERT INTO public.campaign_versions VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000001', 2, 'changed', 'bob', '2021-09-01 12:00:00.123+00', '{"id":"6a0ea1a5-7f1c-4a1b-9a4f-000000000001","name":"Kaligo","min_spend":0,"start_date":"2021-09-01T00:00:00Z","end_date":"2021-12-31T00:00:00Z","reward_program":"scis_platinummiles","reward_amount":1.4,"mcc":"3500-3999","merchant":"","base_reward":true,"foreign_currency":false}', '{"id":"6a0ea1a5-7f1c-4a1b-9a4f-000000000001","name":"Größe ''2'' \\ ;\n","min_spend":0,"start_date":"2021-09-01T00:00:00Z","end_date":"2021-12-31T00:00:00Z","reward_program":"scis_platinummiles","reward_amount":1.4,"mcc":"3500-3999","merchant":"","base_reward":true,"foreign_currency":false}');
INSERT INTO public.campaigns VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000001', 2, false, 'Größe ''2'' \ ;
', 0, '2021-09-01', '2021-12-31', 'scis_platinummiles', 1400000000, '3500-3999', '', true, false, 'größe ''2'' \ ;
', '2021-09-01 12:00:00.123+00', 'bob');
INSERT INTO public.exclusion_versions VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000001', 1, 'created', 'ann', '2021-09-01 12:00:00.123+00', NULL, '{"id":"6a0ea1a5-7f1c-4a1b-9a4f-000000000001","mcc":6051,"valid_from":"2021-09-01T00:00:00Z"}');
INSERT INTO public.exclusions VALUES ('6a0ea1a5-7f1c-4a1b-9a4f-000000000001', 1, false, 6051, '2021-09-01', '2021-09-01 12:00:00.123+00', 'ann');
INSERT INTO public.outbox VALUES ('exclusion', '6a0ea1a5-7f1c-4a1b-9a4f-000000000001', 1, false, '2021-09-01 12:00:00.123+00');
INSERT INTO public.outbox VALUES ('fx', '2021', 1, false, '2021-09-01 12:00:00.123+00');
INSERT INTO public.quote_versions VALUES ('2021-09-02', 1, 'created', 'ann', '2021-09-01 12:00:00.123+00', NULL, '{"date":"2021-09-02","base":"EUR","quotes":{"SGD":1.5364}}');
INSERT INTO public.quote_years VALUES ('2021', 1);
INSERT INTO public.quotes VALUES ('2021-09-02', 1, false, 'EUR', '{"SGD":1.5364}', '2021-09-01 12:00:00.123+00', 'ann');
INSERT INTO public.schema_migrations VALUES ('0000_outbox.sql', '2021-09-01 12:00:00.123+00');
INSERT INTO public.schema_migrations VALUES ('0001_rules.sql', '2021-09-01 12:00:00.123+00');
ALTER TABLE ONLY public.campaign_versions
    ADD CONSTRAINT campaign_versions_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.exclusion_versions
    ADD CONSTRAINT exclusion_versions_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY public.exclusions
    ADD CONSTRAINT exclusions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (kind, rule_id);
ALTER TABLE ONLY public.quote_versions
    ADD CONSTRAINT quote_versions_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY public.quote_years
    ADD CONSTRAINT quote_years_pkey PRIMARY KEY (year);
ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);
CREATE INDEX campaigns_by_programme ON public.campaigns USING btree (reward_program, start_date) WHERE (NOT deleted);
ALTER TABLE ONLY public.campaign_versions
    ADD CONSTRAINT campaign_versions_id_fkey FOREIGN KEY (id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.exclusion_versions
    ADD CONSTRAINT exclusion_versions_id_fkey FOREIGN KEY (id) REFERENCES public.exclusions(id);
ALTER TABLE ONLY public.quote_versions
    ADD CONSTRAINT quote_versions_id_fkey FOREIGN KEY (id) REFERENCES public.quotes(id);
