#!/usr/bin/env bash
# What librdkafka's tests call where they would rather have Kafka's own tool.
exec "${PINLAKE_TEST_KAFKA_PYTHON:-python3}" -B "$(dirname "$(readlink -f "$0")")/../../kafka_topics.py" "$@"
