#!/usr/bin/env bash
# Check a running deployment from outside, with the packages of the image: deploy/verify-deployment.sh [--help]
# The host needs only Docker. The container uses the network of the host, writes nothing, and sees the files below the
# current folder, such as that of --token-file. It may read files that only their owner can read.
set -euo pipefail

exec docker run --rm --interactive --network host --no-healthcheck --entrypoint python \
  --user 0 --cap-drop ALL --cap-add DAC_OVERRIDE --security-opt no-new-privileges --read-only \
  --volume "$PWD:$PWD:ro" --workdir "$PWD" "${PROJECT_MANAGER_IMAGE:-project-manager:latest}" \
  - "$@" < "$(dirname "${BASH_SOURCE[0]}")/verify-deployment.py"
