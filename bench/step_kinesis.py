"""Kinesis: PutRecord, PutRecords and GetRecords, beside a bare HTTP server and other programs that speak Kinesis."""
import contextlib
import http.client
import json
import shlex
import statistics
import subprocess
import sys
import time

from machine import MIB, cpu_s, need_disk, rss_mib_most
from results import Result
from server import Load, Server, load_report
from step_produce import bare_server, BARE_PORT, is_open

#: (records a request, connections)
SHAPES = [(1, 32), (100, 32)]
PEER_SHAPES = [(1, 8), (100, 8)]
STREAM = "bench"
SHARDS = 4
#: What is read: large beside the processor's caches, small beside memory.
READ_MIB = 512
#: What other programs are given to start and to make their stream.
PEER_WAIT_S = 30


def run(setup):
    """All shapes on all servers in turn; the medians count. Then what Pinlake holds is read over and over."""
    need_disk(setup.work, max(8, setup.args.seconds))
    (lines, record_bytes), runs, result = setup.pins(), {}, Result(setup)
    peers = [peer.split("=", 2) for peer in setup.args.kinesis_peer]
    for _ in range(setup.args.runs):
        for shape in SHAPES:
            note(runs, "pinlake", shape, on_pinlake(setup, lines, shape))
            if setup.args.bare:
                note(runs, "bare", shape, on_bare(setup, lines, shape))
        for name, port, command in peers:
            for shape in PEER_SHAPES:
                note(runs, name, shape, on_peer(setup, lines, shape, int(port), command))
    rows = {name: {column: round(statistics.median(one[column] for one in ones), 3) for column in ones[0]} for name, ones in runs.items()}
    for name, row in rows.items():
        result.row(name, row)
    result.row("pinlake: GetRecords", read(setup, lines))
    result.fact(durability="fsync", record_bytes=record_bytes, seconds=setup.args.seconds, runs=setup.args.runs, shards=SHARDS)
    for name in [name for name, *_ in peers] + (["bare"] if setup.args.bare else []):
        result.fact(**ratios(rows, name))
    result.save("kinesis")


def note(runs, server, shape, figures):
    runs.setdefault(title(server, shape), []).append(figures)


def title(server, shape):
    records, connections = shape
    return f"{server}: {'PutRecord' if records == 1 else f'PutRecords of {records}'}, {connections} at once"


def ratios(rows, peer):
    """How many times the peer's records a second of server CPU Pinlake takes."""
    shapes = SHAPES if peer == "bare" else PEER_SHAPES
    return {f"put_{ours[0]}_of_{peer.replace('-', '_')}":
            round(rows[title("pinlake", ours)]["records_cpu_s"] / rows[title(peer, theirs)]["records_cpu_s"], 2)
            for ours, theirs in zip(SHAPES, shapes)}


def on_pinlake(setup, lines, shape):
    """One run on a new server. What was acknowledged must be in the log afterwards."""
    with Server(setup) as server:
        make_stream(server.port)
        syncs = server.metric("pinlake_syncs_total")
        figures, report = put(setup, server.port, server.child.pid, lines, shape)
        syncs = server.metric("pinlake_syncs_total") - syncs
        if server.log_records(STREAM) != report["records"]:
            sys.exit(f"{report['records']} records were acknowledged, but the log holds {server.log_records(STREAM)}")
        return {**figures, "records_a_sync": round(report["records"] / syncs, 1), "rss_mib_most": rss_mib_most(server.child.pid)}


def on_bare(setup, lines, shape):
    with bare_server(setup) as pid:
        return put(setup, BARE_PORT, pid, lines, shape)[0]


def on_peer(setup, lines, shape, port, command):
    """One run on a new process: what it keeps in memory only grows."""
    with peer_server(port, command) as pid:
        make_stream(port)
        figures, _ = put(setup, port, pid, lines, shape)
        return {**figures, "rss_mib_most": rss_mib_most(pid)}


def put(setup, port, pid, lines, shape):
    records, connections = shape
    cpu = cpu_s(pid)
    report = Load(setup, port, None, lines, stream=STREAM, records=records, connections=connections, seconds=setup.args.seconds).report()
    spent = cpu_s(pid) - cpu
    return {"records_s": round(report["records_s"]), "records_cpu_s": round(report["records"] / spent), "p50_ms": report["p50_ms"],
            "p99_ms": report["p99_ms"]}, report


def read(setup, lines):
    """GetRecords of a connection a shard, from the first record to the last and over again. Each must come once in the first lap."""
    with Server(setup) as server:
        make_stream(server.port)
        held = 0
        while server.metric("pinlake_log_bytes") < READ_MIB * MIB:
            held += Load(setup, server.port, None, lines, stream=STREAM, records=100, connections=8, seconds=1).report()["records"]
        cpu = server.cpu_s()
        report = load_report(setup, "kinesis-get", to=f"127.0.0.1:{server.port}", stream=STREAM, seconds=setup.args.seconds)
        spent = server.cpu_s() - cpu
        if report["there"] != held:
            sys.exit(f"{held} records were acknowledged, but {report['there']} were read")
        return {"records_s": round(report["records_s"]), "records_cpu_s": round(report["records"] / spent), "p50_ms": report["p50_ms"],
                "p99_ms": report["p99_ms"], "mb_s": report["mb_s"], "rss_mib_most": rss_mib_most(server.child.pid)}


@contextlib.contextmanager
def peer_server(port, command):
    """Starts another program and answers its process once it listens."""
    if is_open(port):
        sys.exit(f"port {port}, on which '{command}' listens, is taken: end what holds it")
    child = subprocess.Popen(shlex.split(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_open(port), f"'{command}' did not open port {port}")
        yield child.pid
    finally:
        child.kill()
        child.wait()


def make_stream(port):
    """Makes the stream and waits until it is active. A program that opens its port early is asked again."""
    def made():
        status, shown = ask(port, "CreateStream", {"StreamName": STREAM, "ShardCount": SHARDS})
        return status == 200 or "ResourceInUseException" in shown

    def is_active():
        _, shown = ask(port, "DescribeStreamSummary", {"StreamName": STREAM})
        return '"ACTIVE"' in shown

    wait_for(made, f"port {port} made no stream")
    wait_for(is_active, f"the stream on port {port} is not active")


def wait_for(holds, otherwise):
    end = time.monotonic() + PEER_WAIT_S
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if holds():
                return
        if time.monotonic() > end:
            sys.exit(f"{otherwise} within {PEER_WAIT_S} s")
        time.sleep(0.05)


def ask(port, operation, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    credential = "AKIDEXAMPLE/20300101/us-east-1/kinesis/aws4_request"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"Kinesis_20131202.{operation}",
               "X-Amz-Date": "20300101T000000Z",
               "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"}
    try:
        connection.request("POST", "/", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
