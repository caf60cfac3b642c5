#!/usr/bin/env bash
# Deploys the app of the compose file in this directory, without losing a request.
#
# A drop-in replacement for the deploy.sh that many teams keep: copy it over the old
# one. The four constants mean what they meant, and each can also come from the
# environment. Arguments go to docker zdd up: ./deploy.sh --dry-run
set -euo pipefail

APP_NAME=${APP_NAME:-myapp}                          # the project, docker-compose -p
APP_CONTAINERS_NAME=${APP_CONTAINERS_NAME:-app}      # the service that is deployed
NUM_OF_APP_CONTAINERS=${NUM_OF_APP_CONTAINERS:-2}    # how many of it shall run
DEPLOYMENT_TIME=${DEPLOYMENT_TIME:-10}               # seconds, see step 3

# What became of the steps of the old script:
#
# 1. docker-compose build               --build
# 2. docker-compose scale app=TWICE     starts as many new ones beside the old ones,
#                                       from the new image, and never touches the old
# 3. sleep $DEPLOYMENT_TIME             with a healthcheck: waits until the new ones are
#                                       healthy, no longer. Without one: they must run
#                                       for DEPLOYMENT_TIME without a restart (--monitor).
#                                       If they fail, the old ones go on serving, the
#                                       new ones are removed, and this script fails
# 4. docker stop, docker rm the old     after that, only those that were there before;
#                                       each may finish its requests (stop_grace_period)
# 5. docker-compose scale app=N         nothing to do: N are left
# 6. docker-compose up -d for the rest  below: only what has no container yet
docker zdd --project-name "$APP_NAME" up --build \
    --scale "$APP_CONTAINERS_NAME=$NUM_OF_APP_CONTAINERS" \
    --monitor "${DEPLOYMENT_TIME}s" \
    "$@" "$APP_CONTAINERS_NAME"

compose() { docker --log-level error compose --project-name "$APP_NAME" "$@"; }
others=$(compose config --services | grep -vxF "$APP_CONTAINERS_NAME" || true)
present=$(compose ps --all --services)
missing=$(grep -vxF "$present" <<<"$others" || true)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a word for each service
    docker zdd --project-name "$APP_NAME" up --no-deps "$@" $missing
fi
