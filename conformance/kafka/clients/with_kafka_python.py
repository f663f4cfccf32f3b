"""The checks with kafka-python. Usage: with_kafka_python.py BOOTSTRAP [NAME]."""

import checks
from checks import Record, until
from kafka import ConsumerGroupMetadata, IsolationLevel, KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import OffsetAndMetadata, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource

WAIT_S = checks.WAIT_S


class KafkaPython(checks.Client):
    null_headers = False

    def __init__(self, bootstrap):
        super().__init__(bootstrap)
        self.admin, self.producers = KafkaAdminClient(bootstrap_servers=bootstrap), {}

    def close_producers(self):
        for producer in self.producers.values():
            producer.close()

    def create_topic(self, topic, partitions):
        self.admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})

    def partition_count(self, topic):
        if topic not in self.admin.list_topics():
            return 0
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def create_partitions(self, topic, total):
        self.admin.create_partitions({topic: total})

    def topic_config(self, topic, name):
        found = self.admin.describe_configs([ConfigResource("TOPIC", topic, {name: None})], config_filter="all")
        return found["topic"][topic][name]["value"]

    def set_topic_config(self, topic, name, value):
        self.admin.alter_configs([ConfigResource("TOPIC", topic, {name: value})])

    def delete_records(self, topic, firsts):
        self.admin.delete_records({TopicPartition(topic, partition): offset for partition, offset in firsts.items()})

    def produce(self, topic, records, codec=None, partition=None):
        if codec not in self.producers:
            self.producers[codec] = KafkaProducer(bootstrap_servers=self.bootstrap, compression_type=codec, linger_ms=20)
        return deliver(self.producers[codec], topic, records, partition)

    def read(self, topic, ends, read_committed=False):
        level = "read_committed" if read_committed else "read_uncommitted"
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, isolation_level=level, enable_auto_commit=False)
        partitions = [TopicPartition(topic, partition) for partition in ends]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        found = {}

        def poll():
            for partition, some in consumer.poll(timeout_ms=200).items():
                found.setdefault(partition.partition, []).extend(map(record, some))
            return all(consumer.position(partition) >= ends[partition.partition] for partition in partitions)

        try:
            until(f"{topic} is read to its end", poll, pause_s=0)
        finally:
            consumer.close()
        return found

    def offsets_of(self, topic, spec, level=IsolationLevel.READ_UNCOMMITTED):
        asked = {TopicPartition(topic, partition): spec for partition in range(self.partition_count(topic))}
        found = self.admin.list_partition_offsets(asked, isolation_level=level)
        return {partition.partition: one.offset for partition, one in found.items()}

    def ends(self, topic, read_committed=False):
        level = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
        return self.offsets_of(topic, OffsetSpec.LATEST, level)

    def offsets_at(self, topic, time_ms):
        return {partition: None if offset < 0 else offset for partition, offset in self.offsets_of(topic, time_ms).items()}

    def join(self, group, topic):
        return Member(self.bootstrap, group, topic)

    def committed(self, group, topic):
        found = self.admin.list_group_offsets({group: None})[group]
        return {one.partition: place.offset for one, place in found.items() if one.topic == topic and place.offset >= 0}

    def groups(self):
        return {group["group_id"] for group in self.admin.list_groups()}

    def describe_group(self, group):
        found = self.admin.describe_groups([group])[group]
        shares = [
            {p for one in member["member_assignment"]["assigned_partitions"] for p in one["partitions"]}
            for member in found["members"]
        ]
        return found["group_state"].lower(), shares

    def delete_group(self, group):
        self.admin.delete_groups([group])

    def transaction(self, transactional_id):
        return Transaction(self.bootstrap, transactional_id)


def record(message):
    return Record(message.key, message.value, tuple(message.headers))


def deliver(producer, topic, records, partition=None):
    """Sends and waits; [(partition, offset)]."""
    sent = [
        producer.send(topic, value=one.value, key=one.key, headers=list(one.headers), partition=partition) for one in records
    ]
    places = [future.get(timeout=WAIT_S) for future in sent]
    return [(place.partition, place.offset) for place in places]


class Member(checks.Member):
    def __init__(self, bootstrap, group, topic):
        self.bootstrap, self.group, self.topic = bootstrap, group, topic
        super().__init__()

    def open(self):
        self.consumer = KafkaConsumer(
            self.topic,
            bootstrap_servers=self.bootstrap,
            group_id=self.group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=300,
            session_timeout_ms=10_000,
        )

    def poll(self):
        for partition, some in self.consumer.poll(timeout_ms=100).items():
            self.places.update((partition.partition, one.offset) for one in some)
        self.assigned = frozenset(partition.partition for partition in self.consumer.assignment())

    def commit_now(self, offsets):
        asked = {TopicPartition(self.topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()}
        self.consumer.commit(asked)

    def close(self):
        self.consumer.close()


class Transaction(checks.Transaction):
    def __init__(self, bootstrap, transactional_id):
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id)

    def init(self):
        self.producer.init_transactions()

    def begin(self):
        self.producer.begin_transaction()

    def send(self, topic, records):
        deliver(self.producer, topic, records)

    def send_offsets(self, group, topic, offsets):
        asked = {TopicPartition(topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()}
        # Of a consumer that assigns itself: no generation, no member.
        self.producer.send_offsets_to_transaction(asked, ConsumerGroupMetadata(group, -1, "", None))

    def commit(self):
        self.producer.commit_transaction()

    def abort(self):
        self.producer.abort_transaction()

    def close(self):
        self.producer.close(timeout=0)


if __name__ == "__main__":
    checks.main(KafkaPython, "kafka-python")
