#!/usr/bin/env bash
# Create passwords, a certificate authority and a server certificate: deploy/postgres/create-secrets.sh
# They are files in the folder `secrets`, for compose.postgres.yaml. Only the current user can open that folder.
# Existing files are kept. To renew the certificate, delete server.crt and run the script again. The host needs only
# Docker: the image of the database has openssl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mkdir -p -m 700 secrets
docker compose -f compose.postgres.yaml build postgres1
docker compose -f compose.postgres.yaml config --images postgres1 > /dev/null
docker run --rm --interactive --network none --cap-drop ALL --security-opt no-new-privileges \
  --user "$(id -u):$(id -g)" --volume "$PWD/secrets:/secrets" --workdir /secrets \
  "${POSTGRES_IMAGE:-project-manager-postgres:latest}" bash -s <<'SCRIPT'
set -euo pipefail
export HOME=/tmp  # openssl keeps the state of its random numbers there

password() { [ -s "$1" ] || openssl rand -hex 24 > "$1"; }
url() { # FILE ROLE PASSWORD
  echo "postgresql://$2:$(< "$3")@postgres1,postgres2/project_manager?sslmode=verify-full&sslrootcert=/run/secrets/database_ca" > "$1"
}

for name in owner application replication patroni; do
  password "$name.password"
done
url owner.url pm_owner owner.password
url application.url pm_app application.password
if [ ! -s ca.crt ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 -subj "/CN=Project Manager database CA" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.crt 2> /dev/null
fi
if [ ! -s server.crt ]; then
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=postgres" -keyout server.key -out server.csr 2> /dev/null
  printf '%s\n' "subjectAltName=DNS:postgres1,DNS:postgres2" "extendedKeyUsage=serverAuth" > server.extensions
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile server.extensions -out server.crt 2> /dev/null
  rm -f server.csr server.extensions
fi
# The containers run as other users. The folder keeps other users of the host out.
chmod 644 ./*.password ./*.url ./*.crt server.key
chmod 600 ca.key
SCRIPT
echo "The secrets are in the folder secrets. Keep a copy of it in a safe place."
