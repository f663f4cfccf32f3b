"""The checks with confluent-kafka, which is librdkafka. Usage: with_confluent_kafka.py BOOTSTRAP [NAME]."""

import checks
from checks import Record, until
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, ConsumerGroupTopicPartitions, IsolationLevel
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec

WAIT_S = checks.WAIT_S


class Confluent(checks.Client):
    def __init__(self, bootstrap):
        super().__init__(bootstrap)
        self.common = {"bootstrap.servers": bootstrap, "log_level": 3}
        self.admin, self.producers = AdminClient(self.common), {}

    def close_producers(self):
        self.producers.clear()

    def create_topic(self, topic, partitions):
        self.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(WAIT_S)

    def partition_count(self, topic):
        # Without an argument all topics are listed: a question for one could make it.
        found = self.admin.list_topics(timeout=WAIT_S).topics.get(topic)
        return len(found.partitions) if found else 0

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])[topic].result(WAIT_S)

    def create_partitions(self, topic, total):
        self.admin.create_partitions([NewPartitions(topic, total)])[topic].result(WAIT_S)

    def topic_config(self, topic, name):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return self.admin.describe_configs([resource])[resource].result(WAIT_S)[name].value

    def set_topic_config(self, topic, name, value):
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result(WAIT_S)

    def delete_records(self, topic, firsts):
        asked = self.admin.delete_records([TopicPartition(topic, p, offset) for p, offset in firsts.items()])
        for partition, future in asked.items():
            checks.same(future.result(WAIT_S).low_watermark, firsts[partition.partition], "first offset that stays")

    def produce(self, topic, records, codec=None, partition=None):
        if codec not in self.producers:
            # librdkafka's own way from a key to a partition is not Java's.
            config = {"partitioner": "murmur2_random", "compression.type": codec or "none"}
            self.producers[codec] = Producer(self.common | config | {"enable.idempotence": True})
        return deliver(self.producers[codec], topic, records, partition)

    def read(self, topic, ends, read_committed=False):
        level = "read_committed" if read_committed else "read_uncommitted"
        # Without a group nothing is joined; librdkafka wants a name all the same.
        config = {"group.id": "unused", "isolation.level": level, "enable.partition.eof": True, "enable.auto.commit": False}
        consumer = Consumer(self.common | config)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        found, open_partitions = {}, set(ends)

        def poll():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.setdefault(message.partition(), []).append(record(message))
            elif message is not None and message.error().code() == KafkaError._PARTITION_EOF:
                if message.offset() >= ends[message.partition()]:
                    open_partitions.discard(message.partition())
            elif message is not None:
                raise AssertionError(message.error())
            return not open_partitions

        try:
            until(f"{topic} is read to its end", poll, pause_s=0)
        finally:
            consumer.close()
        return found

    def offsets_of(self, topic, spec, level=IsolationLevel.READ_UNCOMMITTED):
        asked = {TopicPartition(topic, p): spec for p in range(self.partition_count(topic))}
        answers = self.admin.list_offsets(asked, isolation_level=level, request_timeout=WAIT_S)
        return {partition.partition: future.result(WAIT_S).offset for partition, future in answers.items()}

    def ends(self, topic, read_committed=False):
        level = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
        return self.offsets_of(topic, OffsetSpec.latest(), level)

    def offsets_at(self, topic, time_ms):
        found = self.offsets_of(topic, OffsetSpec.for_timestamp(time_ms))
        return {partition: None if offset == OFFSET_END else offset for partition, offset in found.items()}

    def join(self, group, topic):
        return Member(self.common, group, topic)

    def committed(self, group, topic):
        asked = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        found = asked[group].result(WAIT_S).topic_partitions
        return {one.partition: one.offset for one in found if one.topic == topic and one.offset >= 0}

    def groups(self):
        return {group.group_id for group in self.admin.list_consumer_groups().result(WAIT_S).valid}

    def describe_group(self, group):
        found = self.admin.describe_consumer_groups([group])[group].result(WAIT_S)
        shares = [{one.partition for one in member.assignment.topic_partitions} for member in found.members]
        return found.state.name.lower(), shares

    def delete_group(self, group):
        self.admin.delete_consumer_groups([group])[group].result(WAIT_S)

    def transaction(self, transactional_id):
        return Transaction(self.common, transactional_id)


def record(message):
    return Record(message.key(), message.value(), tuple(message.headers() or ()))


def deliver(producer, topic, records, partition=None):
    """Sends and waits; [(partition, offset)]."""
    places, failed = [None] * len(records), []

    def delivered(at):
        def told(error, message):
            if error:
                failed.append(error)
            else:
                places[at] = message.partition(), message.offset()

        return told

    where = {} if partition is None else {"partition": partition}
    for at, one in enumerate(records):
        headers = list(one.headers)
        producer.produce(topic, one.value, one.key, headers=headers, on_delivery=delivered(at), **where)
    left = producer.flush(WAIT_S)
    if failed or left:
        raise AssertionError(f"{left} records are not acknowledged, and some failed: {failed[:3]}")
    return places


class Member(checks.Member):
    def __init__(self, common, group, topic):
        self.config = common | {
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "heartbeat.interval.ms": 300,
            "session.timeout.ms": 10_000,
        }
        self.topic = topic
        super().__init__()

    def open(self):
        self.consumer = Consumer(self.config)
        self.consumer.subscribe([self.topic], on_assign=self.assign, on_revoke=self.revoke, on_lost=self.revoke)

    def assign(self, _consumer, partitions):
        self.assigned = frozenset(partition.partition for partition in partitions)

    def revoke(self, _consumer, _partitions):
        self.assigned = frozenset()

    def poll(self):
        message = self.consumer.poll(0.1)
        if message is not None and message.error() is None:
            self.places.add((message.partition(), message.offset()))

    def commit_now(self, offsets):
        asked = [TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()]
        for partition in self.consumer.commit(offsets=asked, asynchronous=False):
            checks.same(partition.error, None, "error of the commit")

    def close(self):
        self.consumer.close()


class Transaction(checks.Transaction):
    def __init__(self, common, transactional_id):
        self.common = common
        self.producer = Producer(common | {"transactional.id": transactional_id, "linger.ms": 0})

    def init(self):
        self.producer.init_transactions(WAIT_S)

    def begin(self):
        self.producer.begin_transaction()

    def send(self, topic, records):
        try:
            deliver(self.producer, topic, records)
        except KafkaException as error:
            # Once fenced, a send only says that all is over; the end of the transaction says why.
            if error.args[0].code() == KafkaError._FATAL:
                self.commit()
            raise

    def send_offsets(self, group, topic, offsets):
        # Only a consumer can say what group it is in; it need not have joined.
        consumer = Consumer(self.common | {"group.id": group})
        try:
            asked = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
            self.producer.send_offsets_to_transaction(asked, consumer.consumer_group_metadata(), WAIT_S)
        finally:
            consumer.close()

    def commit(self):
        self.producer.commit_transaction(WAIT_S)

    def abort(self):
        self.producer.abort_transaction(WAIT_S)

    def close(self):
        # Nothing to wait for: what is not committed is not to be sent.
        self.producer.purge()


if __name__ == "__main__":
    checks.main(Confluent, "confluent")
