#!/usr/bin/env bash
# What librdkafka's tests call to run Java's clients.
jars=/usr/share/java
exec java -cp "$CLASSPATH:$KAFKA_PATH/libs/*:$jars/slf4j-api.jar:$jars/slf4j-simple.jar" "$@"
