"""The checks with aiokafka. Usage: with_aiokafka.py BOOTSTRAP [NAME]."""

import asyncio
import threading

import checks
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from checks import Record

WAIT_S = checks.WAIT_S

# All clients live in one loop, on a thread of its own.
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


def wait(coroutine):
    """Runs it in the loop and waits for it."""
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, WAIT_S), loop).result(WAIT_S + 1)


async def started(kind, *args, **options):
    """A client of the kind, made in the loop and started."""
    client = kind(*args, **options)
    await client.start()
    return client


def refuse_errors(answer):
    """The admin client hands answers out as they come, with their errors inside."""
    for _topic, code, *message in answer.topic_errors if hasattr(answer, "topic_errors") else answer.topic_error_codes:
        if code:
            raise AssertionError(f"error {code} {message}")


class Aiokafka(checks.Client):
    def __init__(self, bootstrap):
        super().__init__(bootstrap)
        self.admin, self.producers = wait(started(AIOKafkaAdminClient, bootstrap_servers=bootstrap)), {}

    def close_producers(self):
        for producer in self.producers.values():
            wait(producer.stop())

    def create_topic(self, topic, partitions):
        refuse_errors(wait(self.admin.create_topics([NewTopic(topic, partitions, 1)])))

    def partition_count(self, topic):
        found = [one for one in wait(self.admin.describe_topics()) if one["topic"] == topic]
        return len(found[0]["partitions"]) if found else 0

    def delete_topic(self, topic):
        refuse_errors(wait(self.admin.delete_topics([topic])))

    def create_partitions(self, topic, total):
        refuse_errors(wait(self.admin.create_partitions({topic: NewPartitions(total)})))

    def topic_config(self, topic, name):
        (answer,) = wait(self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        ((code, message, _type, _name, entries),) = answer.resources
        checks.same((code, message), (0, message), "error of the description")
        return {entry[0]: entry[1] for entry in entries}[name]

    def set_topic_config(self, topic, name, value):
        wait(self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})]))

    def delete_records(self, topic, firsts):
        asked = {TopicPartition(topic, partition): RecordsToDelete(offset) for partition, offset in firsts.items()}
        wait(self.admin.delete_records(asked))

    def produce(self, topic, records, codec=None, partition=None):
        if codec not in self.producers:
            options = {"compression_type": codec, "enable_idempotence": True, "linger_ms": 20}
            self.producers[codec] = wait(started(AIOKafkaProducer, bootstrap_servers=self.bootstrap, **options))
        return wait(deliver(self.producers[codec], topic, records, partition))

    def read(self, topic, ends, read_committed=False):
        return wait(self.read_in_loop(topic, ends, "read_committed" if read_committed else "read_uncommitted"))

    async def read_in_loop(self, topic, ends, level):
        consumer = await started(AIOKafkaConsumer, bootstrap_servers=self.bootstrap, isolation_level=level)
        partitions, found = [TopicPartition(topic, partition) for partition in ends], {}
        try:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            # Ended by the deadline of `wait`.
            while any([await consumer.position(partition) < ends[partition.partition] for partition in partitions]):
                for partition, some in (await consumer.getmany(timeout_ms=200)).items():
                    found.setdefault(partition.partition, []).extend(map(record, some))
        finally:
            await consumer.stop()
        return found

    def ends(self, topic, read_committed=False):
        return wait(self.ends_in_loop(topic, "read_committed" if read_committed else "read_uncommitted"))

    async def ends_in_loop(self, topic, level):
        consumer = await started(AIOKafkaConsumer, topic, bootstrap_servers=self.bootstrap, isolation_level=level)
        try:
            partitions = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)]
            return {one.partition: end for one, end in (await consumer.end_offsets(partitions)).items()}
        finally:
            await consumer.stop()

    def offsets_at(self, topic, time_ms):
        return wait(self.offsets_at_in_loop(topic, time_ms))

    async def offsets_at_in_loop(self, topic, time_ms):
        consumer = await started(AIOKafkaConsumer, topic, bootstrap_servers=self.bootstrap)
        try:
            asked = {TopicPartition(topic, partition): time_ms for partition in consumer.partitions_for_topic(topic)}
            found = await consumer.offsets_for_times(asked)
            return {one.partition: place.offset if place else None for one, place in found.items()}
        finally:
            await consumer.stop()

    def join(self, group, topic):
        return Member(self.bootstrap, group, topic)

    def committed(self, group, topic):
        found = wait(self.admin.list_consumer_group_offsets(group))
        return {one.partition: place.offset for one, place in found.items() if one.topic == topic and place.offset >= 0}

    def groups(self):
        return {group[0] for group in wait(self.admin.list_consumer_groups())}

    def describe_group(self, group):
        (answer,) = wait(self.admin.describe_consumer_groups([group]))
        (found,) = answer.groups
        code, _name, state, _type, _protocol, members, *_rest = found
        checks.same(code, 0, "error of the description")
        return state.lower(), [shares(member[-1]) for member in members]

    def transaction(self, transactional_id):
        return Transaction(self.bootstrap, transactional_id)


def shares(assignment):
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return {partition for _topic, partitions in decoded.assignment for partition in partitions}


def record(message):
    return Record(message.key, message.value, tuple(message.headers))


async def deliver(producer, topic, records, partition=None):
    """Sends and waits; [(partition, offset)]."""
    sent = [await producer.send(topic, one.value, one.key, partition, headers=list(one.headers)) for one in records]
    places = await asyncio.gather(*sent)
    return [(place.partition, place.offset) for place in places]


class Member(checks.Member):
    def __init__(self, bootstrap, group, topic):
        self.bootstrap, self.group, self.topic = bootstrap, group, topic
        super().__init__()

    def open(self):
        self.consumer = wait(
            started(
                AIOKafkaConsumer,
                self.topic,
                bootstrap_servers=self.bootstrap,
                group_id=self.group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                heartbeat_interval_ms=300,
                session_timeout_ms=10_000,
            )
        )

    def poll(self):
        for partition, some in wait(self.consumer.getmany(timeout_ms=100)).items():
            self.places.update((partition.partition, one.offset) for one in some)
        self.assigned = frozenset(partition.partition for partition in self.consumer.assignment())

    def commit_now(self, offsets):
        wait(self.consumer.commit({TopicPartition(self.topic, partition): offset for partition, offset in offsets.items()}))

    def close(self):
        wait(self.consumer.stop())


class Transaction(checks.Transaction):
    def __init__(self, bootstrap, transactional_id):
        self.options = {"bootstrap_servers": bootstrap, "transactional_id": transactional_id}
        self.producer = None

    def init(self):
        self.producer = wait(started(AIOKafkaProducer, **self.options))

    def begin(self):
        wait(self.producer.begin_transaction())

    def send(self, topic, records):
        wait(deliver(self.producer, topic, records))

    def send_offsets(self, group, topic, offsets):
        asked = {TopicPartition(topic, partition): offset for partition, offset in offsets.items()}
        wait(self.producer.send_offsets_to_transaction(asked, group))

    def commit(self):
        wait(self.producer.commit_transaction())

    def abort(self):
        wait(self.producer.abort_transaction())

    def close(self):
        if self.producer:
            wait(self.producer.stop())


if __name__ == "__main__":
    checks.main(Aiokafka, "aiokafka")
