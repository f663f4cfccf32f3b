"""async-kinesis, a client that is not AWS's: its producer and its consumer, with the checkpoints in memory, over a reshard and over a
consumer's end; plain records and the aggregates of Kinesis's own producer library."""

import asyncio
import os

from aiobotocore.session import get_session
from kinesis import Consumer, MemoryCheckPointer, Producer
from kinesis.processors import JsonProcessor, KPLJsonProcessor

from checking import WAIT_S, Run, same, start

url = start()[0]
os.environ |= {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
PLACE = {"endpoint_url": url, "region_name": "us-east-1"}
# The names of these come from the library.
QUICK = {"shard_fetch_rate": 50, "sleep_time_no_records": 0.05, "idle_timeout": 0.5}
KEYS = 9


async def produce(stream, numbers, processor):
    async with Producer(stream_name=stream, processor=processor(), buffer_time=0.05, **PLACE) as producer:
        for number in numbers:
            # An aggregate has a key of its own.
            key = f"key-{number % KEYS}" if processor is JsonProcessor else None
            await producer.put({"number": number}, partition_key=key)
        await producer.flush()


def consumer_of(stream, processor, kept):
    consumer = Consumer(stream_name=stream, processor=processor(), checkpointer=kept, use_list_shards=True, **QUICK, **PLACE)
    # It looks for new shards once a minute, which is more than a test has.
    consumer._shard_refresh_interval = 0.2
    return consumer


async def take(consumer, count):
    """The next items, no more and no fewer. They are checkpointed when the consumer has been asked for one more."""
    items, is_idle = [], False
    async with asyncio.timeout(WAIT_S):
        while len(items) < count or not is_idle:
            item = await anext(consumer, None)
            is_idle = item is None
            if item:
                items.append(item["number"])
    same(len(items), count, "items")
    return items


async def split_and_merge(stream):
    async with get_session().create_client("kinesis", **PLACE) as client:

        async def active():
            async with asyncio.timeout(WAIT_S):
                while (await client.describe_stream_summary(StreamName=stream))["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
                    await asyncio.sleep(0.02)

        await client.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**126))
        await active()
        second, fourth = "shardId-000000000001", "shardId-000000000003"
        await client.merge_shards(StreamName=stream, ShardToMerge=fourth, AdjacentShardToMerge=second)
        await active()


async def through_a_reshard(stream, processor):
    async with Producer(stream_name=stream, create_stream=True, create_stream_shards=2, processor=processor(), **PLACE):
        pass
    kept, read = MemoryCheckPointer(name="test"), []
    await produce(stream, range(300), processor)
    async with consumer_of(stream, processor, kept) as consumer:
        read += await take(consumer, 300)
        await split_and_merge(stream)
        await produce(stream, range(300, 600), processor)
        read += await take(consumer, 300)
    # What comes while nobody reads is there for the next consumer, which goes on at the checkpoints.
    await produce(stream, range(600, 800), processor)
    async with consumer_of(stream, processor, kept) as consumer:
        read += await take(consumer, 200)
    same(sorted(read), list(range(800)), "items, each once")
    for key in range(KEYS) if processor is JsonProcessor else ():
        same([number for number in read if number % KEYS == key], list(range(key, 800, KEYS)), f"order of key-{key}")


def plain_records():
    asyncio.run(through_a_reshard("async-plain", JsonProcessor))


def aggregates():
    asyncio.run(through_a_reshard("async-aggregates", KPLJsonProcessor))


run = Run()
for body in (plain_records, aggregates):
    run.check(body)
run.end()
