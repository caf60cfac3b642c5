#!/usr/bin/env bash
# Deploys the app of the compose file in this directory, without losing a request.
#
# In the place of the deploy.sh that many teams keep: copy it over the old one. The four
# variables mean what they meant; edit them here, or set them in the environment.
# Arguments go to docker zdd up: ./deploy.sh --dry-run
set -euo pipefail
[[ ${1:-} != --help ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" && exit; }

# The service in the compose file.
APP_NAME="${APP_NAME:-app}"
# What the names of its containers begin with, project_service, as docker ps shows them.
APP_CONTAINERS_NAME="${APP_CONTAINERS_NAME:-docker_app}"
# How many of them shall run.
NUM_OF_APP_CONTAINERS="${NUM_OF_APP_CONTAINERS:-2}"
# For how many seconds new ones must run without a crash, where there is no healthcheck.
# With one it is not needed: they are waited for until they are healthy, and no longer.
DEPLOYMENT_TIME="${DEPLOYMENT_TIME:-10}"

# What became of the steps of the old script:
#
# 1. docker-compose pull app, or build     as the file says: --build --pull always
# 2. docker-compose scale app=TWICE        starts so many new ones beside the old ones
# 3. sleep $DEPLOYMENT_TIME                waits until they serve; when they do not, the old
#                                          ones go on, the new ones are removed, and this
#                                          script fails
# 4. docker stop, docker rm of as many,    stops those that were there before, whatever their
#    from the lowest number on             numbers, when they have nothing left to do

wrong() {
    printf 'deploy.sh: %s; nothing was touched\n' "$*" >&2
    exit 1
}

[[ -n $APP_NAME ]] || wrong 'APP_NAME is empty; write the name of the service'
[[ $NUM_OF_APP_CONTAINERS =~ ^[1-9][0-9]*$ ]] ||
    wrong "NUM_OF_APP_CONTAINERS is \"$NUM_OF_APP_CONTAINERS\"; write how many containers shall run, like 2"
[[ $DEPLOYMENT_TIME =~ ^[0-9]+s?$ ]] ||
    wrong "DEPLOYMENT_TIME is \"$DEPLOYMENT_TIME\"; write a number of seconds, like 10"

# docker-compose 1 joins the words of a name with _, later ones with -.
prefix=${APP_CONTAINERS_NAME%[-_]}
project=${prefix%[-_]"$APP_NAME"}
[[ $project != "$prefix" && $project =~ ^[a-z0-9][a-z0-9_-]*$ ]] ||
    wrong "APP_CONTAINERS_NAME is \"$APP_CONTAINERS_NAME\"; write PROJECT_$APP_NAME, what \"docker ps\" shows before the number"

# A typing error would be another project, started beside this one.
of_app() {
    docker ps -a --filter "label=com.docker.compose.service=$APP_NAME" \
        --filter "label=com.docker.compose.$1" --format '{{.Names}}'
}
if [[ -z $(of_app "project=$project") ]]; then
    there=$(of_app "project.working_dir=$PWD")
    [[ -z $there ]] ||
        wrong "APP_CONTAINERS_NAME is \"$APP_CONTAINERS_NAME\", but the containers of $APP_NAME here are ${there//$'\n'/, }"
fi
services=$(docker --log-level error compose --project-name "$project" --profile '*' config --services | sort)
grep -qxF -- "$APP_NAME" <<<"$services" ||
    wrong "APP_NAME is \"$APP_NAME\", and the file has no such service; there are: ${services//$'\n'/, }"

exec docker zdd --project-name "$project" up --build --pull always \
    --scale "$APP_NAME=$NUM_OF_APP_CONTAINERS" --monitor "${DEPLOYMENT_TIME%s}s" \
    "$@" "$APP_NAME"
