"""boto3 at a server that looks at signatures: right and wrong keys, keys that may do some things, clocks that are off, session tokens,
presigned requests. The test's configuration has the keys."""

import hashlib
import json
from datetime import timedelta

import botocore.auth
import requests
from botocore import UNSIGNED
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from checking import Run, same, start
from streams import ONCE, REGION, Stream, client, refusal

url = start()[0]
admin = client(url, key="AKIAADMIN", secret="admin/secret+")
orders = Stream(admin, "orders-1").create(1)
clock = botocore.auth.get_current_datetime


def code(stream, operation="put_record", **args):
    """Why a call is refused."""
    if operation == "put_record":
        args = {"Data": b"refused", "PartitionKey": "k"} | args
    name, _, status = refusal(stream.call, operation, **args)
    same(status, 400, f"status of {name}")
    return name


def put(stream, data):
    return stream.call("put_record", Data=data, PartitionKey="k")


def keys():
    put(orders, b"by the right key")
    wrong = Stream(client(url, key="AKIAADMIN", secret="admin/secret-"), orders.name)
    same(code(wrong), "InvalidSignatureException", "a wrong secret")
    unknown = Stream(client(url, key="AKIANOBODY", secret="admin/secret+"), orders.name)
    same(code(unknown), "UnrecognizedClientException", "an unknown key")
    unsigned = client(url, config=ONCE.merge(type(ONCE)(signature_version=UNSIGNED)))
    same(code(Stream(unsigned, orders.name)), "MissingAuthenticationTokenException", "no signature")


def what_a_key_may():
    producer = client(url, key="AKIAPRODUCER", secret="producer")
    for by in ("name", "arn"):
        put(Stream(producer, orders.name, by), b"by the producer")
        same(code(Stream(producer, orders.name, by), "delete_stream"), "AccessDeniedException", "what it may not do")
        same(code(Stream(producer, "others", by)), "AccessDeniedException", "another stream")
    same(refusal(producer.list_streams)[0], "AccessDeniedException", "all streams")


def session_tokens():
    for token, wanted in ((None, "UnrecognizedClientException"), ("another", "UnrecognizedClientException")):
        session = client(url, key="ASIASESSION", secret="session", token=token)
        same(code(Stream(session, orders.name)), wanted, f"token {token}")
    put(Stream(client(url, key="ASIASESSION", secret="session", token="the token"), orders.name), b"by a session")
    ended = client(url, key="ASIAENDED", secret="ended", token="old")
    same(code(Stream(ended, orders.name)), "ExpiredTokenException", "a session that has ended")


def clocks():
    try:
        for minutes in (-4, 4):
            botocore.auth.get_current_datetime = lambda: clock() + timedelta(minutes=minutes)
            put(orders, f"{minutes} minutes off".encode())
        for minutes in (-6, 6):
            botocore.auth.get_current_datetime = lambda: clock() + timedelta(minutes=minutes)
            same(code(orders), "InvalidSignatureException", f"{minutes} minutes off")
    finally:
        botocore.auth.get_current_datetime = clock


def presigned():
    body = json.dumps({"StreamName": orders.name, "Data": "cHJlc2lnbmVk", "PartitionKey": "k"})
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Kinesis_20131202.PutRecord"}
    # botocore would put the body's members into the query: it is given the body's hash instead.
    headers["X-Amz-Content-SHA256"] = hashlib.sha256(body.encode()).hexdigest()
    request = AWSRequest("POST", f"{url}/", headers=headers)
    SigV4QueryAuth(Credentials("AKIAADMIN", "admin/secret+"), "kinesis", REGION, expires=60).add_auth(request)
    good = requests.post(request.url, data=body, headers=headers)
    same((good.status_code, "SequenceNumber" in good.json()), (200, True), good.text)
    changed = requests.post(request.url, data=body.replace("cHJl", "cHJm"), headers=headers)
    same((changed.status_code, changed.json()["__type"]), (400, "InvalidSignatureException"), "another body")


def what_was_let_in():
    """Nothing of what was refused came to the stream."""
    wanted = [b"by the right key", b"by the producer", b"by the producer", b"by a session", b"-4 minutes off", b"4 minutes off", b"presigned"]
    same([record["Data"] for record in orders.read_all()], wanted, "records")


run = Run()
for body in (keys, what_a_key_may, session_tokens, clocks, presigned, what_was_let_in):
    run.check(body)
run.end()
