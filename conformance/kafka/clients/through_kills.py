"""through_kills.py BOOTSTRAP: works while the server is killed and started again, until standard input closes; then tells what it finds.

An idempotent producer numbers its records, a transactional one commits and aborts, and a consumer of a group counts what it has committed.
Each line of standard output before the checks is how many records were acknowledged. Checks: every numbered record is there once and in
order; of the transactions' records those of committed ones are there once and no other; a new consumer goes on where the group stood.
"""
import select
import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP = sys.argv[1]
NAME = "kills-" + uuid.uuid4().hex[:8]
PARTITIONS = 2
# Far longer than a server takes to come back.
PATIENCE = 120
BASE = {"bootstrap.servers": BOOTSTRAP, "reconnect.backoff.max.ms": 200, "log_level": 0, "socket.connection.setup.timeout.ms": 2000}

passed, failed = 0, 0


def check(name, holds, why):
    global passed, failed
    if holds:
        passed += 1
        print("ok", name, flush=True)
    else:
        failed += 1
        print("FAIL", name, why, flush=True)


def until(what, attempt):
    """The result of `attempt` once it succeeds: the server may be away."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except (KafkaException, TimeoutError) as error:
            if time.monotonic() > end:
                raise RuntimeError(f"{what}: {error}") from error


def create(topic):
    # Its futures never end once it is gone.
    admin = AdminClient(BASE)

    def attempt():
        try:
            admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(10)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    until("creating " + topic, attempt)


def read_all(topic, isolation):
    """The values of each partition, in order, up to its end."""
    consumer = Consumer({**BASE, "group.id": NAME + "-reader", "isolation.level": isolation, "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    values, ended, end = [[] for _ in range(PARTITIONS)], set(), time.monotonic() + PATIENCE
    while len(ended) < PARTITIONS and time.monotonic() < end:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            continue
        values[message.partition()].append(int(message.value()))
    consumer.close()
    return values


numbered, transacted = NAME + ".numbered", NAME + ".transacted"
create(numbered)
create(transacted)

acked = [[] for _ in range(PARTITIONS)]
refused = []


def delivered(error, message):
    if error is None:
        acked[message.partition()].append(int(message.value()))
    else:
        refused.append(str(error))


producer = Producer({**BASE, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": PATIENCE * 1000})
transactional = Producer({**BASE, "transactional.id": NAME, "transaction.timeout.ms": PATIENCE * 1000, "message.timeout.ms": PATIENCE * 1000})
until("beginning with transactions", lambda: transactional.init_transactions(30))
group = {**BASE, "group.id": NAME, "enable.auto.commit": False, "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
consumer = Consumer(group)
consumer.subscribe([numbered])

committed, undecided, positions = set(), set(), {}
count, transaction = 0, 0


def transact():
    """One transaction of five records: of three, one is aborted. An end that is not known counts as undecided."""
    global transaction
    values = [transaction * 5 + n for n in range(5)]
    transaction += 1
    aborts = transaction % 3 == 0
    try:
        transactional.begin_transaction()
        for value in values:
            transactional.produce(transacted, str(value).encode(), partition=value % PARTITIONS)
        if aborts:
            transactional.abort_transaction(PATIENCE)
        else:
            undecided.update(values)
            transactional.commit_transaction(PATIENCE)
            undecided.difference_update(values)
            committed.update(values)
    except KafkaException as error:
        if error.args[0].txn_requires_abort():
            undecided.difference_update(values)
            until("aborting", lambda: transactional.abort_transaction(PATIENCE))
        elif not error.args[0].retriable():
            raise


stopped = False
while not stopped:
    for _ in range(20):
        producer.produce(numbered, str(count).encode(), partition=count % PARTITIONS, on_delivery=delivered)
        count += 1
    producer.poll(0.02)
    transact()
    for message in consumer.consume(200, 0.02):
        if message.error() is None:
            positions[message.partition()] = message.offset() + 1
    try:
        if positions:
            consumer.commit(offsets=[TopicPartition(numbered, number, at) for number, at in positions.items()], asynchronous=False)
    except KafkaException:
        pass  # The server is away, or the group finds itself anew: the next commit says it again.
    print(sum(map(len, acked)) + len(committed), flush=True)
    stopped = bool(select.select([sys.stdin], [], [], 0)[0])

check("flush", producer.flush(PATIENCE) == 0 and not refused, refused[:3])
expected = [list(range(number, count, PARTITIONS)) for number in range(PARTITIONS)]
check("acknowledged_in_order", acked == expected, [len(a) for a in acked])
found = read_all(numbered, "read_uncommitted")
check("numbered_once_and_in_order", found == expected, [(len(f), len(e), sorted(set(e) - set(f))[:5]) for f, e in zip(found, expected)])
seen = [value for values in read_all(transacted, "read_committed") for value in values]
check("transactions_once", len(seen) == len(set(seen)), len(seen) - len(set(seen)))
check("committed_are_there", committed <= set(seen), sorted(committed - set(seen))[:10])
check("aborted_are_not", set(seen) <= committed | undecided, sorted(set(seen) - committed - undecided)[:10])


def commit_last():
    consumer.consume(1000, 0.1)
    consumer.commit(offsets=[TopicPartition(numbered, number, at) for number, at in positions.items()], asynchronous=False)


until("the last commit", commit_last)
consumer.close()
stands = until("asking for positions", lambda: Consumer(group).committed([TopicPartition(numbered, number) for number in range(PARTITIONS)], 30))
check("group_goes_on", {at.partition: at.offset for at in stands} == positions and len(positions) == PARTITIONS, (stands, positions))
print(f"{passed} passed, {failed} failed", flush=True)
sys.exit(1 if failed else 0)
