#!/usr/bin/env bash
# Start Patroni, which starts PostgreSQL. SERVER_NAME is the name of this server on the network. The secrets are files.
set -euo pipefail

secrets=/run/secrets
# PostgreSQL refuses a key that other users could read.
install --mode 600 "$secrets/server_key" /run/cluster/server.key
export BOOTSTRAP_METHOD=initdb SERVER_NAME ETCD_HOSTS CA=$secrets/database_ca SERVER_CERTIFICATE=$secrets/server_certificate
[ -z "${RESTORE_TARGET:-}" ] || BOOTSTRAP_METHOD=restore
PATRONI_PASSWORD=$(< "$secrets/patroni_password")
REPLICATION_PASSWORD=$(< "$secrets/replication_password")
umask 077
PATRONI_PASSWORD=$PATRONI_PASSWORD REPLICATION_PASSWORD=$REPLICATION_PASSWORD python3 -c '
import os, pathlib, string
template = string.Template(pathlib.Path("/opt/cluster/patroni.yaml").read_text())
pathlib.Path("/run/cluster/patroni.yaml").write_text(template.substitute(os.environ))
'
exec patroni /run/cluster/patroni.yaml
