"""A stream as boto3's users work with it, by its name or by its ARN, and a reader that goes through its shards as they are split and
merged."""

import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from checking import WAIT_S, same, until

ACCOUNT = "123456789012"
REGION = "us-east-1"
# Nothing is sent twice behind the checks' back.
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=WAIT_S, read_timeout=WAIT_S, max_pool_connections=20)


def client(url, service="kinesis", key="AKIAEXAMPLE", secret="secret", token=None, config=ONCE):
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
    return boto3.client(service, endpoint_url=url, region_name=REGION, config=config, **keys)


def arn(name):
    return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"


def refusal(call, *args, **kwargs):
    """(code, message, status) of AWS's error."""
    try:
        call(*args, **kwargs)
    except ClientError as error:
        told = error.response
        return told["Error"]["Code"], told["Error"]["Message"], told["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"{call.__name__} is not refused")


class Stream:
    """Calls about one stream, named the same way in each: `by` is "name" or "arn"."""

    def __init__(self, kinesis, name, by="name"):
        self.kinesis, self.name = kinesis, name
        self.named = {"StreamName": name} if by == "name" else {"StreamARN": arn(name)}

    def call(self, operation, **args):
        return getattr(self.kinesis, operation)(**self.named, **args)

    def create(self, shards):
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        self.active()
        return self

    def summary(self):
        return self.call("describe_stream_summary")["StreamDescriptionSummary"]

    def active(self):
        until(f"{self.name} is ACTIVE", lambda: self.summary()["StreamStatus"] == "ACTIVE")

    def shards(self, **args):
        """All of them, by their numbers."""
        found = self.call("list_shards", **args)
        shards = found["Shards"]
        while "NextToken" in found:
            found = self.kinesis.list_shards(NextToken=found["NextToken"])
            shards += found["Shards"]
        return shards

    def open_shards(self):
        return [shard for shard in self.shards() if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]

    def iterator(self, shard, kind="TRIM_HORIZON", **args):
        return self.call("get_shard_iterator", ShardId=shard, ShardIteratorType=kind, **args)["ShardIterator"]

    def page(self, iterator, **args):
        # By name, GetRecords takes the iterator alone.
        if "StreamARN" in self.named:
            args |= self.named
        return self.kinesis.get_records(ShardIterator=iterator, **args)

    def read(self, shard, kind="TRIM_HORIZON", **args):
        """All that the shard holds by now: to its end, or to the tip."""
        iterator, records = self.iterator(shard, kind, **args), []
        while iterator:
            page = self.page(iterator)
            records += page["Records"]
            if not page["Records"] and page["MillisBehindLatest"] == 0:
                break
            iterator = page.get("NextShardIterator")
        return records

    def read_all(self):
        return [record for shard in self.shards() for record in self.read(shard["ShardId"])]

    def delete(self):
        self.call("delete_stream")
        until(f"{self.name} is gone", lambda: self.name not in self.kinesis.list_streams(Limit=10_000)["StreamNames"])


class Reader:
    """Reads a stream in a thread of its own: shards that have no parents first, and a child once all of its parents are read to their end."""

    def __init__(self, stream):
        self.stream = stream
        # In the order in which they were read: (shard, sequence number, key, data).
        self.records, self.problem = [], None
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            self.work()
        except Exception as error:
            self.problem = error

    def work(self):
        first = {shard["ShardId"] for shard in self.stream.shards() if "ParentShardId" not in shard}
        iterators = {shard: self.stream.iterator(shard) for shard in first}
        ended, begun = set(), set(first)
        while not self.leaving.is_set():
            came = 0
            for shard, iterator in list(iterators.items()):
                page = self.stream.page(iterator, Limit=100)
                came += len(page["Records"])
                self.records += [(shard, one["SequenceNumber"], one["PartitionKey"], one["Data"]) for one in page["Records"]]
                iterators[shard] = page.get("NextShardIterator")
                if iterators[shard] is None:
                    del iterators[shard]
                    ended.add(shard)
                    for child in page["ChildShards"]:
                        if ended.issuperset(child["ParentShards"]) and child["ShardId"] not in begun:
                            begun.add(child["ShardId"])
                            iterators[child["ShardId"]] = self.stream.iterator(child["ShardId"])
            if not came:
                time.sleep(0.01)

    def wait_for(self, count):
        until(f"the reader has {count} records", lambda: self.problem or len(self.records) >= count)
        self.leaving.set()
        self.thread.join(WAIT_S)
        if self.problem:
            raise self.problem
        same(len(self.records), count, "records read")
        return self.records
