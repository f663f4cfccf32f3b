"""Signs requests to Kinesis with botocore and prints them as JSON. The secret key is the argument."""

import base64
import json
import sys

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

URL = "http://127.0.0.1:8082"
BODY = b'{"StreamName":"s","Data":"AA==","PartitionKey":"k"}'


def credentials(key):
    return Credentials(key, sys.argv[1], "a token/+=" if key == "SESSION" else None)


def signed(name, key="AKIDEXAMPLE", signer=SigV4Auth, url="/", body=BODY, headers=None, **options):
    headers = {"X-Amz-Target": "Kinesis_20131202.PutRecord", "Content-Type": "application/x-amz-json-1.1"} | (headers or {})
    request = AWSRequest(method="POST", url=URL + url, data=body, headers=headers)
    signer(credentials(key), "kinesis", "eu-west-1", **options).add_auth(request)
    sent = request.prepare()
    headers = {name.lower(): value for name, value in sent.headers.items()}
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
    headers["host"] = "127.0.0.1:8082"
    return {
        "name": name,
        "method": sent.method,
        "uri": sent.url.removeprefix(URL),
        "headers": list(headers.items()),
        "body": base64.b64encode(sent.body or b"").decode(),
        "time": request.context["timestamp"],
        "key": key,
    }


print(
    json.dumps(
        [
            signed("json"),
            signed("bytes of all values", body=bytes(range(256)), headers={"Content-Type": "application/x-amz-cbor-1.1"}),
            signed("session", key="SESSION"),
            signed("unsigned payload", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}),
            signed("presigned", signer=SigV4QueryAuth, body=b"", url="/?b=%20+%2B&a=%C3%A4", expires=60),
            signed("presigned session", key="SESSION", signer=SigV4QueryAuth, body=b"", expires=60),
        ]
    )
)
