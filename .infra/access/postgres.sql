-- The databases of campaignex and profiler, and their users. Each owns what it makes in its own, and sees nothing of
-- the other's.
--   psql "host=… user=operator dbname=postgres sslmode=verify-full sslrootcert=rds.pem" -f postgres.sql \
--     -v campaignex_password=SCRAM-SHA-256$… -v profiler_password=SCRAM-SHA-256$…
-- access/postgres does that with what is in Secrets Manager: it hashes the passwords first, since PostgreSQL logs
-- statements that change roles. It can be run again: passwords become those given.
\set ON_ERROR_STOP on

SELECT 'CREATE ROLE campaignex' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'campaignex') \gexec
SELECT 'CREATE ROLE profiler' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'profiler') \gexec
ALTER ROLE campaignex LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 60 PASSWORD :'campaignex_password';
ALTER ROLE profiler LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 120 PASSWORD :'profiler_password';

SELECT 'CREATE DATABASE campaignex ENCODING ''UTF8'' TEMPLATE template0' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'campaignex') \gexec
SELECT 'CREATE DATABASE profiler ENCODING ''UTF8'' TEMPLATE template0' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'profiler') \gexec
REVOKE ALL ON DATABASE campaignex, profiler FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE campaignex TO campaignex;
GRANT CONNECT, TEMPORARY ON DATABASE profiler TO profiler;

\connect campaignex
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO campaignex;
\connect profiler
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO profiler;
