"""boto3 makes delivery streams, puts records, changes destinations, and finds the objects. `SCRIPT URL FOLDER`: the folder has the server's
buckets."""

import gzip
import re
import sys
import zipfile
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "kinesis"))

import aws_kinesis_agg.aggregator
from checking import Run, restart, same, start, until
from streams import ACCOUNT, REGION, Stream, arn, client, refusal

url, folder = start()
firehose = client(url, "firehose")
BUCKETS = Path(folder)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/firehose"
HOUR = r"\d{4}/\d\d/\d\d/\d\d/"
STAMP = r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def destination(bucket, **more):
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 0}
    return {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}", "BufferingHints": hints} | more


def create(name, **more):
    """A delivery stream to a bucket of its own."""
    settings = {"ExtendedS3DestinationConfiguration": destination(name, **more.pop("destination", {}))} | more
    made = firehose.create_delivery_stream(DeliveryStreamName=name, **settings)
    same(made["DeliveryStreamARN"], f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{name}", "its ARN")
    until(f"{name} is ACTIVE", lambda: described(name)["DeliveryStreamStatus"] == "ACTIVE")


def described(name):
    return firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]


def put(name, records):
    for at in range(0, len(records), 500):
        batch = [{"Data": record} for record in records[at : at + 500]]
        answer = firehose.put_record_batch(DeliveryStreamName=name, Records=batch)
        same((answer["FailedPutCount"], len(answer["RequestResponses"])), (0, len(batch)), "answers")
        same(all(one["RecordId"] for one in answer["RequestResponses"]), True, "record ids")


def objects(bucket):
    """Names and contents. A file that is being written has a '#' in its name."""
    root = BUCKETS / bucket
    paths = [path for path in root.rglob("*") if path.is_file() and "#" not in path.name]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def delivered(bucket, count, unpack=lambda content: content):
    """All objects, once they have so many lines."""

    def lines():
        found = objects(bucket)
        return found if sum(unpack(content).count(b"\n") for content in found.values()) >= count else None

    found = until(f"{bucket} has {count} lines", lines)
    return found, sorted(line for content in found.values() for line in unpack(content).splitlines())


def numbers(*args):
    return [f"record {number:05}".encode() for number in range(*args)]


def put_directly():
    """1,200 records come newline-separated under the documented names; another configuration has another version."""
    create("direct", destination={"Prefix": "raw/"}, DeliveryStreamType="DirectPut", Tags=[{"Key": "team", "Value": "data"}])
    put("direct", numbers(1200))
    found, lines = delivered("direct", 1200)
    same(lines, numbers(1200), "lines")
    for name in found:
        same(bool(re.fullmatch(f"raw/{HOUR}direct-1-{STAMP}", name)), True, name)
    told = described("direct")
    wanted = {"VersionId": "1", "DeliveryStreamType": "DirectPut", "HasMoreDestinations": False}
    same({name: told[name] for name in wanted}, wanted, "description")
    at = told["Destinations"][0]["DestinationId"]
    update = {"DeliveryStreamName": "direct", "CurrentDeliveryStreamVersionId": "1", "DestinationId": at}
    update["ExtendedS3DestinationUpdate"] = {"Prefix": "new/", "FileExtension": ".jsonl"}
    firehose.update_destination(**update)
    same(described("direct")["VersionId"], "2", "the version")
    same(refusal(firehose.update_destination, **update)[0], "ConcurrentModificationException", "the old version")
    answer = firehose.put_record(DeliveryStreamName="direct", Record={"Data": b"after"})
    same(sorted(set(answer) - {"ResponseMetadata"}), ["Encrypted", "RecordId"], "the answer to a put")
    found, lines = delivered("direct", 1201)
    same(lines, [b"after"] + numbers(1200), "lines")
    new = [name for name in found if name.startswith("new/")]
    same((len(new), bool(re.fullmatch(f"new/{HOUR}direct-2-{STAMP}\\.jsonl", new[0]))), (1, True), str(new))


def administration():
    create("kept", Tags=[{"Key": "a", "Value": "1"}])
    firehose.tag_delivery_stream(DeliveryStreamName="kept", Tags=[{"Key": "b", "Value": ""}])
    firehose.untag_delivery_stream(DeliveryStreamName="kept", TagKeys=["a"])
    found = firehose.list_tags_for_delivery_stream(DeliveryStreamName="kept")
    same((found["Tags"], found["HasMoreTags"]), ([{"Key": "b", "Value": ""}], False), "tags")
    same("kept" in firehose.list_delivery_streams(DeliveryStreamType="DirectPut", Limit=100)["DeliveryStreamNames"], True, "the list")
    key = {"KeyType": "AWS_OWNED_CMK"}
    firehose.start_delivery_stream_encryption(DeliveryStreamName="kept", DeliveryStreamEncryptionConfigurationInput=key)
    until("it is encrypted", lambda: described("kept")["DeliveryStreamEncryptionConfiguration"]["Status"] == "ENABLED")
    firehose.stop_delivery_stream_encryption(DeliveryStreamName="kept")
    until("it is not", lambda: described("kept")["DeliveryStreamEncryptionConfiguration"]["Status"] == "DISABLED")
    again = {"DeliveryStreamName": "kept", "ExtendedS3DestinationConfiguration": destination("kept")}
    same(refusal(firehose.create_delivery_stream, **again)[0], "ResourceInUseException", "made twice")
    elsewhere = {"HttpEndpointDestinationConfiguration": {"EndpointConfiguration": {"Url": "https://x"}, "S3Configuration": destination("kept")}}
    refused = refusal(firehose.create_delivery_stream, DeliveryStreamName="other", **elsewhere)
    same(refused[0], "InvalidArgumentException", "another destination")
    many = [{"Data": b"x"}] * 501
    same(refusal(firehose.put_record_batch, DeliveryStreamName="kept", Records=many)[0], "ValidationException", "501 records")
    # As it is sent, so that no check of the client's own comes first.
    large = {"DeliveryStreamName": "kept", "Record": {"Data": b"x" * 1_024_001}}
    same(refusal(firehose.put_record, **large)[0], "ValidationException", "a record that is too large")
    firehose.delete_delivery_stream(DeliveryStreamName="kept")
    until("it is gone", lambda: "kept" not in firehose.list_delivery_streams()["DeliveryStreamNames"])
    gone = f"Firehose kept under account {ACCOUNT} not found."
    same(refusal(firehose.describe_delivery_stream, DeliveryStreamName="kept"), ("ResourceNotFoundException", gone, 400), "what is gone")


def packed():
    """Gzip and ZIP hold what was put."""
    create("gzip", destination={"CompressionFormat": "GZIP"})
    create("zip", destination={"CompressionFormat": "ZIP"})

    def unzip(content):
        with zipfile.ZipFile(BytesIO(content)) as files:
            return b"".join(files.read(name) for name in files.namelist())

    for name, ending, unpack in (("gzip", ".gz", gzip.decompress), ("zip", ".zip", unzip)):
        put(name, numbers(300))
        found, lines = delivered(name, 300, unpack)
        same(lines, numbers(300), f"lines of {name}")
        for path in found:
            same(bool(re.fullmatch(f"{HOUR}{name}-1-{STAMP}\\{ending}", path)), True, path)


def as_parquet():
    """JSON becomes Parquet with the columns of a table; what does not fit is an object of errors."""
    conversion = {"Enabled": True, "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}}}
    conversion["OutputFormatConfiguration"] = {"Serializer": {"ParquetSerDe": {}}}
    conversion["SchemaConfiguration"] = {"RoleARN": ROLE, "DatabaseName": "any", "TableName": "pin", "Region": REGION}
    hints = {"SizeInMBs": 64, "IntervalInSeconds": 0}
    prefixes = {"Prefix": "good/", "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/"}
    create("parquet", destination={"BufferingHints": hints, "DataFormatConversionConfiguration": conversion} | prefixes)
    put("parquet", [b'{"index": 1, "title": "one"}', b'{"index": "no number"}', b'{"index": 2, "title": "two"}'])
    found = lambda prefix: {name: content for name, content in objects("parquet").items() if name.startswith(prefix)}
    files = until("there is Parquet", lambda: found("good/"))
    for name, content in files.items():
        same((content[:4], content[-4:]), (b"PAR1", b"PAR1"), name)
    errors = until("there are errors", lambda: found("bad/format-conversion-failed/"))
    same(sum(content.count(b"\n") for content in errors.values()), 1, "records that do not fit")


def from_a_kinesis_stream():
    """A delivery stream reads a Kinesis stream, takes aggregates apart, and takes no puts of its own."""
    stream = Stream(client(url), "source").create(2)
    source = {"KinesisStreamARN": arn(stream.name), "RoleARN": ROLE}
    create("from-kinesis", DeliveryStreamType="KinesisStreamAsSource", KinesisStreamSourceConfiguration=source)
    entries = [{"Data": record, "PartitionKey": str(i)} for i, record in enumerate(numbers(200))]
    same(stream.call("put_records", Records=entries)["FailedRecordCount"], 0, "records that were not stored")
    together = aws_kinesis_agg.aggregator.RecordAggregator()
    for record in numbers(200, 230):
        together.add_user_record("k", record)
    _, _, aggregate = together.clear_and_get().get_contents()
    stream.call("put_record", Data=aggregate, PartitionKey="k")
    _, lines = delivered("from-kinesis", 230)
    same(lines, numbers(230), "lines")
    refused = refusal(firehose.put_record, DeliveryStreamName="from-kinesis", Record={"Data": b"x"})
    same(refused[0], "InvalidArgumentException", "a put of its own")


def partitioned():
    """Records go where their content says."""
    query = [{"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{customer: .customer.id}"}]
    query.append({"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"})
    processing = {"Enabled": True, "Processors": [{"Type": "MetadataExtraction", "Parameters": query}]}
    prefixes = {"Prefix": "c=!{partitionKeyFromQuery:customer}/", "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/"}
    hints = {"SizeInMBs": 64, "IntervalInSeconds": 0}
    dynamic = {"DynamicPartitioningConfiguration": {"Enabled": True}, "ProcessingConfiguration": processing, "BufferingHints": hints}
    create("partitioned", destination=dynamic | prefixes)
    put("partitioned", [f'{{"customer": {{"id": "{number % 3}"}}, "n": {number}}}'.encode() for number in range(30)])
    found, _ = delivered("partitioned", 30)
    for name, content in found.items():
        customer = re.fullmatch(f"c=(\\d)/{HOUR}partitioned-1-{STAMP}", name)
        same(bool(customer), True, name)
        same(content.count(f'"id": "{customer[1]}"'.encode()), content.count(b"\n"), f"records of {name}")


def over_kills():
    """What was acknowledged is delivered once, whenever the server dies."""
    global firehose
    create("killed", destination={"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}})
    for life, how in enumerate(["KILL", "TERM", "KILL"]):
        put("killed", numbers(400 * life, 400 * life + 400))
        firehose = client(restart(how), "firehose")
    _, lines = delivered("killed", 1200)
    same(lines, numbers(1200), "lines")
    same(described("killed")["DeliveryStreamStatus"], "ACTIVE", "status")


run = Run()
for body in (put_directly, administration, packed, as_parquet, from_a_kinesis_stream, partitioned, over_kills):
    run.check(body)
run.end()
