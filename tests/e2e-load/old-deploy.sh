#!/bin/bash
# What scripts/deploy.sh takes the place of, written down from what it does.
APP_NAME="app"
APP_CONTAINERS_NAME="docker_app"
NUM_OF_APP_CONTAINERS=2
DEPLOYMENT_TIME=10

docker-compose pull $APP_NAME
docker-compose scale $APP_NAME=$((NUM_OF_APP_CONTAINERS * 2))
sleep $DEPLOYMENT_TIME

FIRST=$(docker ps --format '{{.Names}}' | grep "$APP_CONTAINERS_NAME" | sed 's/.*_//' | sort | head -n 1)
for ((i = FIRST; i < FIRST + NUM_OF_APP_CONTAINERS; i++)); do
    docker stop "${APP_CONTAINERS_NAME}_$i"
    docker rm "${APP_CONTAINERS_NAME}_$i"
done
