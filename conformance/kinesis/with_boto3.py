"""boto3 does with the server what it does with AWS: every operation on streams, shards and records, by name and by ARN, through resharding
and restarts, and the gateway's forms as the classic scripts send them."""

import hashlib
import json
import threading

import requests
from botocore.exceptions import ClientError

from checking import Run, restart, same, start, until
from streams import ACCOUNT, REGION, Reader, Stream, arn, client, refusal

BOTH = ("name", "arn")
EVERY_BYTE = bytes(range(256))
LAST_HASH = 2**128 - 1

url = start()[0]
kinesis = client(url)


def hash_of(key):
    return int.from_bytes(hashlib.md5(key.encode()).digest(), "big")


def holds(shard, hash_key):
    held = shard["HashKeyRange"]
    return int(held["StartingHashKey"]) <= hash_key <= int(held["EndingHashKey"])


def check_answers(answer, entries):
    same(answer["FailedRecordCount"], 0, "records that were not stored")
    same(len(answer["Records"]), len(entries), "answers")
    return answer["Records"]


def streams(by):
    """A stream is made, described, set, tagged and deleted."""
    stream = Stream(kinesis, f"streams-{by}", by)
    kinesis.create_stream(StreamName=stream.name, ShardCount=3, Tags={"made": "with it"})
    kinesis.get_waiter("stream_exists").wait(**stream.named, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    told = stream.call("describe_stream")["StreamDescription"]
    wanted = {"StreamName": stream.name, "StreamARN": arn(stream.name), "StreamStatus": "ACTIVE", "HasMoreShards": False}
    wanted |= {"RetentionPeriodHours": 24, "EncryptionType": "NONE", "StreamModeDetails": {"StreamMode": "PROVISIONED"}}
    same({name: told[name] for name in wanted}, wanted, "description")
    same([shard["ShardId"] for shard in told["Shards"]], [f"shardId-{i:012}" for i in range(3)], "shards")
    ranges = [(int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"])) for s in told["Shards"]]
    part = 2**128 // 3
    same(ranges, [(0, part - 1), (part, 2 * part - 1), (2 * part, LAST_HASH)], "hash ranges")
    summary = stream.summary()
    same((summary["OpenShardCount"], summary["ConsumerCount"]), (3, 0), "counts")
    found = kinesis.list_streams(Limit=10_000)
    same(stream.name in found["StreamNames"], True, "the list of streams has it")
    same([s["StreamARN"] for s in found["StreamSummaries"] if s["StreamName"] == stream.name], [arn(stream.name)], "its ARN there")
    twice = f"Stream {stream.name} under account {ACCOUNT} already exists."
    same(refusal(kinesis.create_stream, StreamName=stream.name, ShardCount=1), ("ResourceInUseException", twice, 400), "made twice")

    stream.call("increase_stream_retention_period", RetentionPeriodHours=48)
    same(stream.summary()["RetentionPeriodHours"], 48, "retention")
    stream.call("decrease_stream_retention_period", RetentionPeriodHours=24)
    same(stream.summary()["RetentionPeriodHours"], 24, "retention")
    stream.call("start_stream_encryption", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    stream.active()
    same((stream.summary()["EncryptionType"], stream.summary()["KeyId"]), ("KMS", "alias/aws/kinesis"), "encryption")
    same(stream.call("put_record", Data=b"x", PartitionKey="k")["EncryptionType"], "KMS", "encryption of a put")
    stream.call("stop_stream_encryption", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    stream.active()
    watched = stream.call("enable_enhanced_monitoring", ShardLevelMetrics=["IncomingBytes", "OutgoingRecords"])
    same((watched["StreamName"], watched["StreamARN"]), (stream.name, arn(stream.name)), "who is watched")
    same(sorted(watched["DesiredShardLevelMetrics"]), ["IncomingBytes", "OutgoingRecords"], "metrics")
    left = stream.call("disable_enhanced_monitoring", ShardLevelMetrics=["ALL"])
    same(left["DesiredShardLevelMetrics"], [], "metrics")
    kinesis.update_stream_mode(StreamARN=arn(stream.name), StreamModeDetails={"StreamMode": "ON_DEMAND"})
    stream.active()
    same(stream.summary()["StreamModeDetails"], {"StreamMode": "ON_DEMAND"}, "mode")
    same(kinesis.describe_limits()["OnDemandStreamCount"] >= 1, True, "streams on demand")

    stream.call("delete_stream", EnforceConsumerDeletion=True)
    kinesis.get_waiter("stream_not_exists").wait(**stream.named, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    none = f"Stream {stream.name} under account {ACCOUNT} not found."
    same(refusal(stream.summary), ("ResourceNotFoundException", none, 400), "what is gone")


def tags(by):
    stream = Stream(kinesis, f"tags-{by}", by).create(1)
    stream.call("add_tags_to_stream", Tags={f"t{i:02}": str(i) for i in range(12)})
    first = stream.call("list_tags_for_stream", Limit=10)
    same(first["HasMoreTags"], True, "more tags")
    rest = stream.call("list_tags_for_stream", ExclusiveStartTagKey=first["Tags"][-1]["Key"])
    same([tag["Key"] for tag in first["Tags"] + rest["Tags"]], [f"t{i:02}" for i in range(12)], "tags")
    stream.call("remove_tags_from_stream", TagKeys=[f"t{i:02}" for i in range(10)])
    kinesis.tag_resource(ResourceARN=arn(stream.name), Tags={"a b": "", "Ключ": "значение"})
    found = {tag["Key"]: tag["Value"] for tag in kinesis.list_tags_for_resource(ResourceARN=arn(stream.name))["Tags"]}
    same(found, {"t10": "10", "t11": "11", "a b": "", "Ключ": "значение"}, "tags of the resource")
    kinesis.untag_resource(ResourceARN=arn(stream.name), TagKeys=["t10", "a b", "none"])
    same([tag["Key"] for tag in stream.call("list_tags_for_stream")["Tags"]], ["t11", "Ключ"], "tags that are left")
    stream.delete()


def records(by):
    """What is put is read, byte for byte, where MD5 or the explicit hash says."""
    stream = Stream(kinesis, f"records-{by}", by).create(4)
    shards = {shard["ShardId"]: shard for shard in stream.shards()}
    entries = [{"Data": bytes([i]) * i + EVERY_BYTE, "PartitionKey": f"ключ-{i}"} for i in range(256)]
    entries += [{"Data": b"", "PartitionKey": "empty"}, {"Data": EVERY_BYTE * 4095, "PartitionKey": "almost 1 MiB"}]
    hashes = [0, 2**126 - 1, 2**126, 2**127, LAST_HASH]
    entries += [{"Data": str(hash).encode(), "PartitionKey": "k", "ExplicitHashKey": str(hash)} for hash in hashes]
    places = check_answers(stream.call("put_records", Records=entries), entries)
    last = stream.call("put_record", Data=EVERY_BYTE, PartitionKey="k", SequenceNumberForOrdering=places[-1]["SequenceNumber"])
    entries.append({"Data": EVERY_BYTE, "PartitionKey": "k"})
    places.append(last)
    wanted = {}
    for entry, place in zip(entries, places):
        hash_key = int(entry.get("ExplicitHashKey", hash_of(entry["PartitionKey"])))
        same(holds(shards[place["ShardId"]], hash_key), True, f"{entry['PartitionKey']} is in its shard")
        wanted[place["ShardId"], place["SequenceNumber"]] = (entry["PartitionKey"], entry["Data"])
    same(len(wanted), len(entries), "places")
    read = {}
    for shard in shards:
        found = stream.read(shard)
        numbers = [int(record["SequenceNumber"]) for record in found]
        same(numbers, sorted(set(numbers)), f"sequence numbers of {shard}")
        read |= {(shard, record["SequenceNumber"]): (record["PartitionKey"], record["Data"]) for record in found}
    same(read == wanted, True, "what was read is what was put")
    iterators(stream, places[-1]["ShardId"])
    sizes(stream)
    stream.delete()


def iterators(stream, shard):
    """Each kind begins where it says."""
    every = stream.read(shard)
    third = every[2]
    numbers = [record["SequenceNumber"] for record in every]
    read = lambda kind, **args: [record["SequenceNumber"] for record in stream.read(shard, kind, **args)]
    same(read("AT_SEQUENCE_NUMBER", StartingSequenceNumber=third["SequenceNumber"]), numbers[2:], "at the third")
    same(read("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=third["SequenceNumber"]), numbers[3:], "after the third")
    same(read("AT_TIMESTAMP", Timestamp=every[0]["ApproximateArrivalTimestamp"]), numbers, "from the first one's time")
    same(read("AT_TIMESTAMP", Timestamp=0), numbers, "from the beginning of time")
    latest = stream.iterator(shard, "LATEST")
    same(stream.page(latest)["Records"], [], "at the tip")
    start_hash = next(s for s in stream.shards() if s["ShardId"] == shard)["HashKeyRange"]["StartingHashKey"]
    new = stream.call("put_record", Data=b"new", PartitionKey="k", ExplicitHashKey=start_hash)
    same([record["Data"] for record in stream.page(latest)["Records"]], [b"new"], "what came since")
    same(len(stream.page(stream.iterator(shard), Limit=2)["Records"]), 2, "a page of two")
    same(new["ShardId"], shard, "the shard")
    forged = latest[:40] + ("B" if latest[40] == "A" else "A") + latest[41:]
    same(refusal(stream.page, forged)[0], "InvalidArgumentException", "a forged iterator")


def sizes(stream):
    """Too much is refused as a whole; a stream that is raised takes more."""
    big = b"x" * (10 * 1024 * 1024 - 1024)
    put = lambda data: stream.call("put_record", Data=data, PartitionKey="big")
    code, message, _ = refusal(put, big)
    same((code, "Member must have length less than or equal to 1048576" in message), ("ValidationException", True), message)
    many = [{"Data": b"x", "PartitionKey": "k"}] * 501
    same(refusal(stream.call, "put_records", Records=many)[0], "ValidationException", "501 records")
    kinesis.update_max_record_size(StreamARN=arn(stream.name), MaxRecordSizeInKiB=10_240)
    stream.active()
    place = put(big)
    found = stream.read(place["ShardId"], "AT_SEQUENCE_NUMBER", StartingSequenceNumber=place["SequenceNumber"])
    same([record["Data"] == big for record in found], [True], "the large record")


def lists(by):
    """Shards and streams by pages and filters."""
    stream = Stream(kinesis, f"lists-{by}", by).create(150)
    every = [shard["ShardId"] for shard in stream.shards()]
    same(every, [f"shardId-{i:012}" for i in range(150)], "shards")
    same([shard["ShardId"] for shard in stream.shards(MaxResults=40)], every, "shards by 40")
    same([s["ShardId"] for s in stream.shards(ExclusiveStartShardId=every[99])], every[100:], "shards behind one")
    after = {"Type": "AFTER_SHARD_ID", "ShardId": every[147]}
    same([s["ShardId"] for s in stream.shards(ShardFilter=after)], every[148:], "shards behind one, by filter")
    same(len(stream.shards(ShardFilter={"Type": "AT_LATEST"})), 150, "open shards")
    first = stream.call("describe_stream")["StreamDescription"]
    same((len(first["Shards"]), first["HasMoreShards"]), (100, True), "the first page")
    rest = stream.call("describe_stream", ExclusiveStartShardId=every[99])["StreamDescription"]
    same(([s["ShardId"] for s in rest["Shards"]], rest["HasMoreShards"]), (every[100:], False), "the second")
    pages = kinesis.get_paginator("describe_stream").paginate(**stream.named)
    same([s["ShardId"] for page in pages for s in page["StreamDescription"]["Shards"]], every, "shards by botocore's pages")
    stream.delete()


def resharding(by):
    """While one thread writes and another reads, shards are split, merged and counted anew; each key's records come once and in order."""
    stream = Stream(kinesis, f"resharding-{by}", by).create(2)
    reader, written, stop = Reader(stream), [], threading.Event()

    def write():
        while not stop.is_set():
            number = len(written)
            key = f"key-{number % 17}"
            try:
                place = stream.call("put_record", Data=str(number).encode(), PartitionKey=key)
            except Exception as error:
                return written.append(error)
            written.append((place["ShardId"], place["SequenceNumber"], key, str(number).encode()))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    more = lambda count: until(f"{count} more records", lambda end=len(written) + count: len(written) >= end or not writer.is_alive())
    more(40)
    stream.call("split_shard", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**125))
    stream.active()
    more(40)
    stream.call("merge_shards", ShardToMerge="shardId-000000000003", AdjacentShardToMerge="shardId-000000000001")
    stream.active()
    more(40)
    for target in (4, 3, 2, 1):
        before = len(stream.open_shards())
        told = stream.call("update_shard_count", TargetShardCount=target, ScalingType="UNIFORM_SCALING")
        wanted = {"StreamName": stream.name, "StreamARN": arn(stream.name)}
        wanted |= {"CurrentShardCount": before, "TargetShardCount": target}
        same({name: told[name] for name in wanted}, wanted, "answer")
        stream.active()
        same(len(stream.open_shards()), target, "open shards")
        more(40)
    stop.set()
    writer.join(30)
    failures = [one for one in written if isinstance(one, Exception)]
    same(failures, [], "failed puts")
    read = reader.wait_for(len(written))
    same(sorted(read) == sorted(written), True, "each record once, where it was put")
    for key in {one[2] for one in written}:
        of_key = lambda records: [int(data) for _, _, held, data in records if held == key]
        same(of_key(read), of_key(written), f"order of {key}")
    family(stream)
    stream.delete()


def family(stream):
    """Parents and children name each other, and open shards hold each hash once."""
    shards = {shard["ShardId"]: shard for shard in stream.shards()}
    for name, shard in shards.items():
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]:
            continue
        iterator, page = stream.iterator(name), {}
        while iterator:
            page = stream.page(iterator)
            iterator = page.get("NextShardIterator")
        children = [c for c, s in shards.items() if name in (s.get("ParentShardId"), s.get("AdjacentParentShardId"))]
        same([child["ShardId"] for child in page["ChildShards"]], children, f"children of {name}")
    ranges = sorted((int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"])) for s in stream.open_shards())
    same([ranges[0][0], *(end + 1 for _, end in ranges)], [*(begin for begin, _ in ranges), LAST_HASH + 1], "hash ranges")


def restarts():
    """Iterators, sequence numbers, shards and settings go on behind restarts and kills."""
    global kinesis
    stream = Stream(kinesis, "restarts").create(2)
    put = lambda text: check_answers(
        stream.call("put_records", Records=[{"Data": f"{text}-{i}".encode(), "PartitionKey": str(i)} for i in range(50)]), range(50)
    )
    stream.call("add_tags_to_stream", Tags={"kept": "yes"})
    numbers, iterators, read = {}, {}, []

    def note(places):
        for place in places:
            number = int(place["SequenceNumber"])
            same(number > numbers.get(place["ShardId"], 0), True, "sequence numbers grow")
            numbers[place["ShardId"]] = number

    def go_on():
        for shard in stream.shards():
            iterator = iterators.get(shard["ShardId"]) or stream.iterator(shard["ShardId"])
            page = stream.page(iterator)
            read.extend(record["Data"] for record in page["Records"])
            iterators[shard["ShardId"]] = page.get("NextShardIterator", iterator)

    note(put("0"))
    for round, how in enumerate(["TERM", "KILL", "KILL", "TERM"], 1):
        go_on()
        note(put(f"{round} before"))
        stream.kinesis = kinesis = client(restart(how))
        note(put(f"{round} after"))
        go_on()
        if round == 2:
            stream.call("split_shard", ShardToSplit="shardId-000000000001", NewStartingHashKey=str(2**127 + 2**126))
            stream.active()
        same(stream.call("list_tags_for_stream")["Tags"], [{"Key": "kept", "Value": "yes"}], "tags")
    same(len(stream.shards()), 4, "shards")
    texts = ["0"] + [f"{round} {when}" for round in range(1, 5) for when in ("before", "after")]
    same(sorted(read), sorted(f"{text}-{i}".encode() for text in texts for i in range(50)), "each record once")
    stream.delete()


def gateway_forms():
    """As the classic scripts use the API Gateway in front of Kinesis; what they put, boto3 reads."""
    url, name, headers = kinesis.meta.endpoint_url, "streaming-0a1b2c3d4e5f-pin", {"Content-Type": "application/json"}
    send = lambda method, path, body=None: requests.request(method, f"{url}{path}", headers=headers, data=json.dumps(body) if body else None)
    made = send("POST", f"/test/streams/{name}", {"ShardCount": 2})
    same((made.status_code, made.json()), (200, {}), "made")
    stream = Stream(kinesis, name)
    stream.active()
    same(name in send("GET", "/test/streams").json()["StreamNames"], True, "listed")
    told = send("GET", f"/test/streams/{name}").json()["StreamDescription"]
    same((told["StreamARN"], len(told["Shards"])), (arn(name), 2), "described")
    pin = {"index": 1, "title": "a  b", "follower_count": "12k"}
    one = send("PUT", f"/test/streams/{name}/record", {"StreamName": "another", "Data": pin, "PartitionKey": "partition-1"})
    same((one.status_code, sorted(one.json())), (200, ["EncryptionType", "SequenceNumber", "ShardId"]), "put")
    text = send("PUT", f"/prod/streams/{name}/record", {"StreamName": name, "Data": "text", "PartitionKey": "partition-1"})
    many = {"records": [{"data": pin, "partition-key": "partition-2"}, {"data": "raw", "partition-key": "partition-2"}]}
    same(send("PUT", f"/test/streams/{name}/records", many).json()["FailedRecordCount"], 0, "put many")
    same(text.status_code, 200, "put text")
    found = {(record["PartitionKey"], record["Data"]) for record in stream.read_all()}
    as_json = json.dumps(pin, separators=(",", ":")).encode()
    first = {("partition-1", as_json), ("partition-1", b'"text"')}
    same(found, first | {("partition-2", as_json), ("partition-2", b"raw")}, "what boto3 reads")
    place = one.json()
    iterator = send("GET", f"/test/streams/{name}/sharditerator?shard-id={place['ShardId']}").json()["ShardIterator"]
    page = requests.get(f"{url}/test/streams/{name}/records", headers={**headers, "Shard-Iterator": iterator}).json()
    same(page["Records"][0]["SequenceNumber"], place["SequenceNumber"], "the first record at the gateway")
    gone = send("DELETE", f"/test/streams/{name}")
    same((gone.status_code, gone.json()), (200, {}), "deleted")


def terraform():
    """The calls of Terraform's provider for a stream, from its making to its end."""
    stream = Stream(kinesis, "terraform")
    kinesis.create_stream(StreamName=stream.name, StreamModeDetails={"StreamMode": "PROVISIONED"}, ShardCount=1, Tags={"team": "data"})
    stream.active()
    stream.call("increase_stream_retention_period", RetentionPeriodHours=48)
    stream.active()
    stream.call("enable_enhanced_monitoring", ShardLevelMetrics=["IncomingBytes"])
    stream.active()
    # What is NONE already is set to NONE, without a key.
    body = {"StreamName": stream.name, "EncryptionType": "NONE"}
    target = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Kinesis_20131202.StopStreamEncryption"}
    without_key = requests.post(kinesis.meta.endpoint_url, headers=target | signature(), data=json.dumps(body))
    same((without_key.status_code, without_key.text), (200, ""), "StopStreamEncryption without KeyId")
    stream.active()
    same(kinesis.list_tags_for_resource(ResourceARN=arn(stream.name))["Tags"], [{"Key": "team", "Value": "data"}], "tags")
    stream.call("update_shard_count", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    stream.active()
    for mode in ("ON_DEMAND", "PROVISIONED"):
        kinesis.update_stream_mode(StreamARN=arn(stream.name), StreamModeDetails={"StreamMode": mode})
        stream.active()
    stream.call("disable_enhanced_monitoring", ShardLevelMetrics=["IncomingBytes"])
    stream.call("decrease_stream_retention_period", RetentionPeriodHours=24)
    kinesis.tag_resource(ResourceARN=arn(stream.name), Tags={"team": "lake"})
    kinesis.untag_resource(ResourceARN=arn(stream.name), TagKeys=["team"])
    summary = stream.summary()
    wanted = {"RetentionPeriodHours": 24, "EncryptionType": "NONE", "EnhancedMonitoring": [{"ShardLevelMetrics": []}]}
    same({name: summary[name] for name in wanted}, wanted, "what Terraform reads back")
    stream.call("delete_stream", EnforceConsumerDeletion=True)
    until("the stream is gone", lambda: gone(stream))


def gone(stream):
    try:
        stream.summary()
    except ClientError as error:
        return error.response["Error"]["Code"] == "ResourceNotFoundException"
    return False


def signature():
    """The headers of a signature that nobody looks at."""
    scope = f"20300131/{REGION}/kinesis/aws4_request"
    parts = f"Credential=AKIAEXAMPLE/{scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    return {"Authorization": f"AWS4-HMAC-SHA256 {parts}", "X-Amz-Date": "20300131T000000Z"}


run = Run()
for by in BOTH:
    for body in (streams, tags, records, lists, resharding):
        run.check(body, by)
for body in (gateway_forms, terraform, restarts):
    run.check(body)
run.end()
