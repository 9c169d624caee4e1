#!/usr/bin/env bash
# Upgrade to the release that is built or pulled, while agents work: deploy/upgrade.sh
# Check that the running release runs on the new schema, take a backup, migrate, then replace one instance after the
# other. The script stops at the first step that fails, and the running instances continue. At the end it lists the
# image of each container. The status is 0 only if every instance and the backup service run the new release. Run it in
# the folder of compose.yaml. Variables of Compose have their usual effect. For PostgreSQL: COMPOSE_FILE=compose.postgres.yaml
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
trap 'say "Interrupted. Running instances continue; run deploy/upgrade.sh again."; exit 130' INT TERM

# Print the containers of a service, without those of `docker compose run`.
containers() { # SERVICE
  local id
  for id in $(docker compose ps --all --quiet "$1" 2>/dev/null); do
    [ "$(label com.docker.compose.oneoff "$id")" = True ] || echo "$id"
  done
}
label() { docker inspect --format "{{index .Config.Labels \"$1\"}}" "$2"; }
# Print the newest migration of the release in a container.
schema() { docker exec "$1" alembic heads | cut -d' ' -f1; }
state() { docker inspect --format '{{.State.Status}}' "$1"; }
health() { docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}}' "$1"; }
image() { docker inspect --format '{{.Image}}' "$1"; }
image_of_name() { docker image inspect --format '{{.Id}}' "$1"; }
# `config --images` also prints the images of the services that this one depends on.
image_of_service() { docker compose config | awk -v name="$1:" '/^  [^ ]/ {service = $1} service == name && $1 == "image:" {print $2}'; }
scale() { docker compose up -d --no-deps --no-recreate --wait --scale "project-manager=$1" project-manager; }
ports() { # COMMAND THAT RUNS ITS ARGUMENTS IN A CONTAINER
  # shellcheck disable=SC2016
  "$@" sh -c 'api=${DEFAULT_PORT:-8080}; echo "ports $api ${MCP_PORT:-$((api + 1))}"' | grep '^ports ' || true
}

# `grep -q` would end at the match, and the interrupted program before it would fail the pipeline.
has_service() { docker compose config --services | grep -x "$1" >/dev/null; }
in_new_release() { docker compose run --rm --no-deps -T migrate "$@"; }
is_on_server() {
  # shellcheck disable=SC2016
  in_new_release sh -c 'echo "${DATABASE_URL:-}" | cat - "${DATABASE_URL_FILE:-/dev/null}" | grep -q "^postgres"'
}
back_up() {
  if has_service postgres1; then
    deploy/postgres/backup.sh
  elif is_on_server; then
    say "The database is on a server, which this script cannot back up. Its own backup must be recent."
  else
    docker compose run --rm --no-deps migrate project-manager backup "/app/backups/before-upgrade-$(date -u +%Y%m%dT%H%M%SZ).db"
  fi
}
explain_upgrade_with_interruption() {
  say "Nothing was changed, and the instances continue. Upgrade with an interruption:"
  if has_service postgres1; then
    say "docker compose stop project-manager"
    say "deploy/postgres/backup.sh"
  else
    say "docker compose stop project-manager backup"
    say "docker compose run --rm --no-deps migrate project-manager backup /app/backups/before-upgrade.db"
  fi
  say "docker compose up -d --wait"
}

remove_unhealthy() {
  local id
  say "The new instance is not healthy. Its log:"
  for id in $(containers project-manager); do
    [[ " ${old[*]} " == *" $id "* ]] && continue
    [ "$(health "$id")" = healthy ] && continue
    docker logs --tail 20 "$id" >&2
    docker rm --force "$id" >/dev/null
  done
  say "It was removed. The other instances continue."
}

report() { # SERVICE: print one line for each container; status 1 if one does not run the new release
  local id failed=0
  for id in $(containers "$1"); do
    say "$(docker inspect --format '{{slice .Name 1}}' "$id"): $(state "$id") $(health "$id"), image $(image "$id" | cut -c8-19)"
    [ "$(image "$id")" = "$new" ] && [ "$(state "$id")" = running ] && [[ "$(health "$id")" =~ ^(healthy|-)$ ]] || failed=1
  done
  return "$failed"
}

mapfile -t present < <(containers project-manager)
old=()
for id in "${present[@]}"; do
  [ "$(state "$id")" = running ] && old+=("$id")
done
count=${#present[@]}
if [ "${#old[@]}" -eq 0 ]; then
  say "No instance is running. Start them: docker compose up -d --wait"
  exit 1
fi
new=$(image_of_name "$(image_of_service migrate)")
say "New release: image ${new:7:12}"

wanted=$(ports in_new_release)
balanced=$(ports docker compose exec -T lb)
if [ -n "$balanced" ] && [ "$wanted" != "$balanced" ]; then
  say "DEFAULT_PORT or MCP_PORT has changed, but the load balancer uses the former ports."
  say "Ports cannot change one instance after the other. Restart all: docker compose up -d --wait"
  exit 1
fi

checks=()
for id in "${old[@]}"; do
  checks+=(--check "$(schema "$id")")
done
if ! in_new_release project-manager migrate "${checks[@]}" >&2; then
  explain_upgrade_with_interruption
  exit 1
fi

say "Backup"
back_up
say "Migration"
if ! docker compose run --rm --no-deps migrate; then
  say "The migration failed and changed nothing. The instances continue."
  exit 1
fi

# Remove stopped containers: Compose would start them again with the old release.
for id in "${present[@]}"; do
  [[ " ${old[*]} " == *" $id "* ]] && continue
  say "Removing ${id:0:12}, which is $(state "$id")"
  docker rm --force "$id" >/dev/null
done
for id in "${old[@]}"; do
  say "Replacing ${id:0:12}"
  scale "$((${#old[@]} + 1))" || { remove_unhealthy; exit 1; }
  docker stop "$id" >/dev/null
  docker rm "$id" >/dev/null
done
scale "$count" || { remove_unhealthy; exit 1; }
if [ -n "$(docker compose ps --quiet --status running backup 2>/dev/null)" ]; then
  say "Replacing the backup service"
  docker compose up -d --no-deps backup
fi

say "Running containers:"
failed=0
report project-manager || failed=1
report backup || failed=1
[ "$(containers project-manager | wc -l)" -eq "$count" ] || failed=1
if [ "$failed" -ne 0 ]; then
  say "Not done: not every container runs image ${new:7:12}. Check the list, then run deploy/upgrade.sh again."
  exit 1
fi
lb=$(docker compose ps --quiet --status running lb)
if [ -n "$lb" ]; then
  report lb || true
  if ! docker compose exec -T lb test -e /lb/reload.sh || [ "$(image "$lb")" != "$(image_of_name "$(docker inspect --format '{{.Config.Image}}' "$lb")")" ]; then
    say "The load balancer keeps its former image or mounts. To replace it (short interruption):"
    say "docker compose up -d --no-deps lb"
  elif ! docker compose exec -T lb bash /lb/reload.sh; then
    say "The load balancer keeps its former configuration."
  fi
fi
say "Done: $count instances of the new release"
