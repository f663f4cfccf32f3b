"""boto3 subscribes to shards over HTTP/1.1: records come once and in order while they are put, over connections that are cut, over kills of
the server and from parents to children."""

import threading
from contextlib import closing

from botocore.exceptions import ClientError

from checking import Run, restart, same, start, until
from streams import Stream, arn, client, refusal

url = start()[0]
kinesis = client(url)
TRIM_HORIZON = {"Type": "TRIM_HORIZON"}


def register(stream, name):
    consumer = kinesis.register_stream_consumer(StreamARN=arn(stream.name), ConsumerName=name)["Consumer"]["ConsumerARN"]
    told = lambda: kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]
    until(f"{name} is ACTIVE", lambda: told()["ConsumerStatus"] == "ACTIVE")
    return consumer


def subscribe(consumer, shard, position):
    """A subscription; one that was cut shortly before keeps the shard for five seconds."""

    def asked():
        try:
            return kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard, StartingPosition=position)["EventStream"]
        except ClientError as error:
            same(error.response["Error"]["Code"], "ResourceInUseException", "why it is refused")
            return None

    return until(f"{shard} is to be had", asked, pause_s=0.2)


class Subscriber:
    """Reads a shard by one subscription after the other; where the next one begins is what the last event said."""

    def __init__(self, consumer, shard, position=TRIM_HORIZON):
        self.consumer, self.shard, self.position = consumer, shard, position
        self.numbers, self.children, self.cuts = [], None, 0

    def read(self, is_enough):
        """Subscribes and reads to the shard's end, or until it is enough; then the connection is cut."""
        with closing(subscribe(self.consumer, self.shard, self.position)) as events:
            for event in events:
                event = event["SubscribeToShardEvent"]
                self.numbers += [int(record["Data"]) for record in event["Records"]]
                same(event["MillisBehindLatest"] >= 0, True, "how far it is behind")
                if "ContinuationSequenceNumber" in event:
                    self.position = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": event["ContinuationSequenceNumber"]}
                if event.get("ChildShards"):
                    self.children = [child["ShardId"] for child in event["ChildShards"]]
                    return
                if is_enough():
                    return


def over_cuts_and_a_reshard():
    stream = Stream(kinesis, "subscribed").create(1)
    consumer, written = register(stream, "c"), []

    def put(count):
        for number in range(len(written), len(written) + count):
            stream.call("put_record", Data=str(number).encode(), PartitionKey=f"key-{number % 5}")
            written.append(number)

    put(20)
    parent = Subscriber(consumer, "shardId-000000000000")
    # The second fifty are put while it is subscribed.
    writer = threading.Thread(target=put, args=(50,), daemon=True)
    writer.start()
    parent.read(lambda: len(parent.numbers) >= 45)
    writer.join()
    put(5)
    parent.read(lambda: len(parent.numbers) >= 75)
    same(parent.numbers, list(range(75)), "records of the parent, over a cut")
    # What comes before the split is the parent's, the rest its children's.
    put(5)
    stream.call("split_shard", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    stream.active()
    put(40)
    parent.read(lambda: False)
    same(parent.numbers, list(range(80)), "records of the parent")
    same(parent.children, ["shardId-000000000001", "shardId-000000000002"], "its children")
    held = {child: [int(record["Data"]) for record in stream.read(child)] for child in parent.children}
    same(sorted(number for numbers in held.values() for number in numbers), list(range(80, 120)), "records of the children")
    for shard, numbers in held.items():
        child = Subscriber(consumer, shard)
        if numbers:
            child.read(lambda: len(child.numbers) >= len(numbers))
        same(child.numbers, numbers, f"records of {shard}")


def over_kills():
    """Where the last event said, a subscription at the server's next life goes on, without loss or repeat."""
    global kinesis
    stream = Stream(kinesis, "killed").create(1)
    consumer = register(stream, "c")
    subscriber = Subscriber(consumer, "shardId-000000000000")
    for life, how in enumerate(["KILL", "TERM"]):
        entries = [{"Data": str(30 * life + i).encode(), "PartitionKey": "k"} for i in range(30)]
        same(stream.call("put_records", Records=entries)["FailedRecordCount"], 0, "records that were not stored")
        with closing(subscribe(consumer, subscriber.shard, subscriber.position)) as other:
            # The server ends under a subscription.
            event = next(iter(other))["SubscribeToShardEvent"]
            subscriber.numbers += [int(record["Data"]) for record in event["Records"]]
            subscriber.position = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": event["ContinuationSequenceNumber"]}
            stream.kinesis = kinesis = client(restart(how))
        if len(subscriber.numbers) < 30 * (life + 1):
            subscriber.read(lambda: len(subscriber.numbers) >= 30 * (life + 1))
    stream.call("put_record", Data=b"60", PartitionKey="k")
    subscriber.read(lambda: len(subscriber.numbers) >= 61)
    same(subscriber.numbers, list(range(61)), "records")


def two_at_once():
    """A consumer has a shard once; another consumer has it too."""
    stream = Stream(kinesis, "shared").create(1)
    first, second = register(stream, "first"), register(stream, "second")
    stream.call("put_record", Data=b"0", PartitionKey="k")
    shard, read = "shardId-000000000000", []
    with closing(subscribe(first, shard, TRIM_HORIZON)) as one, closing(subscribe(second, shard, TRIM_HORIZON)) as other:
        again = {"ConsumerARN": first, "ShardId": shard, "StartingPosition": TRIM_HORIZON}
        same(refusal(kinesis.subscribe_to_shard, **again)[0], "ResourceInUseException", "the same again at once")
        for events in (one, other):
            read.append([record["Data"] for record in next(iter(events))["SubscribeToShardEvent"]["Records"]])
    same(read, [[b"0"], [b"0"]], "what each of them reads")
    at = {"Type": "AT_TIMESTAMP", "Timestamp": 4_000_000_000}
    same(refusal(kinesis.subscribe_to_shard, ConsumerARN=second, ShardId="shardId-000000000009", StartingPosition=at)[0], "ResourceNotFoundException", "no such shard")


run = Run()
for body in (over_cuts_and_a_reshard, over_kills, two_at_once):
    run.check(body)
run.end()
