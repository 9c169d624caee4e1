#!/usr/bin/env bash
# Create the database and its roles. Patroni runs this once, on the first primary of a new cluster.
#   pm_owner  owns the schema, and runs migrations
#   pm_app    reads and writes rows; it cannot create, alter or drop tables
set -euo pipefail

psql=(psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --tuples-only --no-align)

create() {
  "${psql[@]}" --dbname postgres <<'SQL'
CREATE ROLE pm_owner LOGIN;
CREATE ROLE pm_app LOGIN;
-- The metrics include standbys and old snapshots of other sessions.
GRANT pg_read_all_stats TO pm_app;
CREATE DATABASE project_manager TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE project_manager FROM PUBLIC;
GRANT CONNECT ON DATABASE project_manager TO pm_owner, pm_app;
\connect project_manager
CREATE SCHEMA project_manager AUTHORIZATION pm_owner;
GRANT USAGE ON SCHEMA project_manager TO pm_app;
-- For the tables of all later migrations.
ALTER DEFAULT PRIVILEGES FOR ROLE pm_owner IN SCHEMA project_manager
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO pm_app;
ALTER DEFAULT PRIVILEGES FOR ROLE pm_owner IN SCHEMA project_manager
  GRANT USAGE, SELECT ON SEQUENCES TO pm_app;
SQL
}

# A restored cluster has the roles, perhaps with former passwords.
[ "$("${psql[@]}" --dbname postgres --command "SELECT count(*) FROM pg_roles WHERE rolname = 'pm_owner'")" = 1 ] || create
"${psql[@]}" --dbname postgres <<'SQL'
\set owner_password `cat /run/secrets/owner_password`
\set application_password `cat /run/secrets/application_password`
ALTER ROLE pm_owner PASSWORD :'owner_password';
ALTER ROLE pm_app PASSWORD :'application_password';
SQL
