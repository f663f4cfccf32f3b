"""Kafka REST produce into a topic that feeds no table, beside a bare HTTP server that reads the body and answers."""
import contextlib
import socket
import statistics
import subprocess
import sys
import time

from machine import cpu_s, disk_sync_ms, need_disk
from results import Result
from server import Load, Server

BARE_PORT = 8099
#: (records a request, connections)
SHAPES = [(1, 1), (1, 32), (100, 32)]
TOPIC = "unfed"


def run(setup):
    """All shapes on both servers in turn; the medians count."""
    need_disk(setup.work, 10)
    (lines, record_bytes), runs, result = setup.pins(), {}, Result(setup)
    with Server(setup) as server:
        for _ in range(setup.args.runs):
            for records, connections in SHAPES:
                shape = {"records": records, "connections": connections}
                name = f"{records} a request, {connections} at once"
                runs.setdefault(f"pinlake: {name}", []).append(on_pinlake(setup, server, lines, record_bytes, shape))
                if setup.args.bare:
                    runs.setdefault(f"bare: {name}", []).append(on_bare(setup, lines, shape))
        result.fact(durability="fsync", record_bytes=record_bytes, seconds=setup.args.seconds, runs=setup.args.runs,
                    rss_mib_after=server.rss_mib())
    for name, ones in runs.items():
        result.row(name, {column: round(statistics.median(one[column] for one in ones), 3) for column in ones[0]})
    result.save("produce")


def on_pinlake(setup, server, lines, record_bytes, shape):
    """One run on a new topic. Every record that was acknowledged must be in the log afterwards. The disk is asked right after the run
    for what it takes to append and sync as many bytes as the log synced at once."""
    server.create_topic(TOPIC)
    syncs = server.metric("pinlake_syncs_total")
    figures, report = post(setup, server.port, server.child.pid, lines, shape)
    syncs = server.metric("pinlake_syncs_total") - syncs
    if server.log_records() != report["records"]:
        sys.exit(f"{report['records']} records were acknowledged, but the log holds {server.log_records()}")
    server.delete_topic(TOPIC)
    records_a_sync = report["records"] / syncs
    return {**figures, "records_a_sync": round(records_a_sync, 1),
            "disk_p50_ms": disk_sync_ms(setup.work, round(records_a_sync * record_bytes))}


def on_bare(setup, lines, shape):
    with bare_server(setup) as pid:
        return post(setup, BARE_PORT, pid, lines, shape)[0]


def post(setup, port, pid, lines, shape):
    cpu = cpu_s(pid)
    report = Load(setup, port, f"/topics/{TOPIC}", lines, seconds=setup.args.seconds, **shape).report()
    spent = cpu_s(pid) - cpu
    return {"records_s": round(report["records_s"]), "records_cpu_s": round(report["records"] / spent), "p50_ms": report["p50_ms"],
            "p99_ms": report["p99_ms"]}, report


@contextlib.contextmanager
def bare_server(setup):
    """Starts the bare server and answers its process once it listens."""
    if is_open(BARE_PORT):
        sys.exit(f"port {BARE_PORT}, on which the bare server listens, is taken: end what holds it")
    child = subprocess.Popen([setup.args.bare, "2"], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not is_open(BARE_PORT):
            if child.poll() is not None or time.monotonic() > end:
                sys.exit(f"the bare server did not open port {BARE_PORT}")
            time.sleep(0.01)
        yield child.pid
    finally:
        child.kill()
        child.wait()


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
