"""Stands in for Kafka's kafka-topics.sh, as far as librdkafka's tests use it: creates, alters and deletes one topic.

Needs confluent-kafka. Where Kafka's tool has options that are not here, it says so and fails.
"""

import argparse

from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

WAIT_S = 30


def arguments():
    parser = argparse.ArgumentParser(prog="kafka-topics.sh", allow_abbrev=False)
    parser.add_argument("--bootstrap-server", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    for action in ("create", "alter", "delete"):
        what.add_argument(f"--{action}", dest="action", action="store_const", const=action)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, default=-1)
    parser.add_argument("--replication-factor", type=int, default=-1)
    parser.add_argument("--config", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def main():
    asked = arguments()
    admin = AdminClient({"bootstrap.servers": asked.bootstrap_server})
    if asked.action == "create":
        config = dict(setting.split("=", 1) for setting in asked.config)
        done = admin.create_topics([NewTopic(asked.topic, asked.partitions, asked.replication_factor, config=config)])
    elif asked.action == "alter":
        done = admin.create_partitions([NewPartitions(asked.topic, asked.partitions)])
    else:
        done = admin.delete_topics([asked.topic])
    done[asked.topic].result(WAIT_S)


main()
