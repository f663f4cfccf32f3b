"""A tour with AWS's command line, as its users type it: each command is a process of its own, and its output is compared."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from checking import WAIT_S, Run, same, start

url = start()[0]
AWS = str(Path(sys.executable).parent / "aws")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/tour"


def ran(words, *more):
    """One command of `kinesis`, without the endpoint and the stream."""
    command = [AWS, "--endpoint-url", url, "kinesis", *words.split(), *more]
    return subprocess.run(command, env=os.environ | KEYS, capture_output=True, text=True, timeout=WAIT_S)


def said(words, *more):
    done = ran(words, *more)
    same((done.returncode, done.stderr), (0, ""), words)
    return done.stdout


def answered(words, *more):
    return json.loads(said(words, *more))


def made():
    same(said("create-stream --stream-name tour --shard-count 2"), "", "create-stream")
    same(said("wait stream-exists --stream-name tour"), "", "wait")
    summary = answered("describe-stream-summary --stream-arn", ARN)["StreamDescriptionSummary"]
    same((summary["StreamName"], summary["StreamStatus"], summary["OpenShardCount"]), ("tour", "ACTIVE", 2), "summary")
    same("tour" in said("list-streams --output text --query StreamNames[]").split(), True, "list-streams")


def records_round():
    put = "put-record --stream-name tour --partition-key"
    # Version 1 of the command line encodes what it is given.
    one = answered(f"{put} one --explicit-hash-key 0", "--data", "first")
    same((sorted(one), one["ShardId"]), (["EncryptionType", "SequenceNumber", "ShardId"], "shardId-000000000000"), "put-record")
    entries = [{"Data": f"entry {i}", "PartitionKey": "many", "ExplicitHashKey": str(i)} for i in range(3)]
    many = answered("put-records --stream-name tour --records", json.dumps(entries))
    same((many["FailedRecordCount"], len(many["Records"])), (0, 3), "put-records")
    words = "get-shard-iterator --stream-name tour --shard-id shardId-000000000000 --shard-iterator-type TRIM_HORIZON"
    iterator = said(f"{words} --output text --query ShardIterator").strip()
    page = answered("get-records --shard-iterator", iterator)
    same((page["MillisBehindLatest"], bool(page["NextShardIterator"])), (0, True), "the page's end")
    texts = [base64.b64decode(record["Data"]).decode() for record in page["Records"]]
    same(texts, ["first", "entry 0", "entry 1", "entry 2"], "records")
    same(page["Records"][0]["SequenceNumber"], one["SequenceNumber"], "the first one's number")
    by_quotes = answered("get-records --limit 1 --shard-iterator", f'"{iterator}"')
    same(len(by_quotes["Records"]), 1, "an iterator in quotes, as it is printed")


def resharded():
    half = str(2**126)
    same(said(f"split-shard --stream-name tour --shard-to-split shardId-000000000000 --new-starting-hash-key {half}"), "", "split-shard")
    said("wait stream-exists --stream-name tour")
    shards = said("list-shards --stream-name tour --output text --query Shards[].[ShardId,ParentShardId,HashKeyRange.StartingHashKey]")
    numbers = [line.split("\t") for line in shards.splitlines()]
    first, second = "shardId-000000000000", "shardId-000000000001"
    wanted = [[first, "None", "0"], [second, "None", str(2**127)], ["shardId-000000000002", first, "0"], ["shardId-000000000003", first, half]]
    same(numbers, wanted, "list-shards")
    told = answered("update-shard-count --stream-name tour --target-shard-count 2 --scaling-type UNIFORM_SCALING")
    same(told, {"StreamName": "tour", "CurrentShardCount": 3, "TargetShardCount": 2, "StreamARN": ARN}, "update-shard-count")


def tagged():
    said("add-tags-to-stream --stream-name tour --tags", "team=data,place=here")
    said("remove-tags-from-stream --stream-name tour --tag-keys place")
    tags = answered("list-tags-for-stream --stream-name tour")
    same(tags, {"Tags": [{"Key": "team", "Value": "data"}], "HasMoreTags": False}, "tags")
    said("increase-stream-retention-period --stream-name tour --retention-period-hours 48")
    hours = said("describe-stream --stream-name tour --output text --query StreamDescription.RetentionPeriodHours")
    same(hours.strip(), "48", "retention")


def ended():
    said("delete-stream --stream-name tour")
    said("wait stream-not-exists --stream-name tour")
    gone = ran("describe-stream-summary --stream-name tour")
    text = "(ResourceNotFoundException) when calling the DescribeStreamSummary operation: Stream tour under account 123456789012 not found."
    same((gone.returncode > 0, text in gone.stderr), (True, True), gone.stderr)


run = Run()
for body in (made, records_round, resharded, tagged, ended):
    run.check(body)
run.end()
