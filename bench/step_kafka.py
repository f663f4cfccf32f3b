"""Kafka's wire protocol: the server's own limit by the load generator, and a client of others beside a broker that keeps all in memory."""
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from machine import GIB, MIB, disk_sync_mb_s, need_disk, rss_mib_most
from results import Result
from server import Server, free_ports, wire

#: (bytes a batch, partitions, connections)
PRODUCED = [(1_000_000, 1, 1), (1_000_000, 4, 4), (16_000, 4, 16)]
#: (most bytes an answer, connections)
FETCHED = [(1 * MIB, 2), (8 * MIB, 2), (50 * MIB, 2)]
#: What is read: large beside the processor's caches, small beside memory.
FETCHED_GIB = 1
TOPIC = "unfed"
#: The topic of the client's script, and what makes it: the script itself does not wait until it is there.
CLIENT_TOPIC = "bench.pin"
CREATE = """
import sys
from confluent_kafka.admin import AdminClient, NewTopic
admin = AdminClient({"bootstrap.servers": sys.argv[1]})
for made in admin.create_topics([NewTopic(sys.argv[2], 2, 1)]).values():
    made.result(10)
"""
GROUPS = 5
PEER_WAIT_S = 20
#: A pipeline whose table no topic feeds: the log is measured, not what follows it.
PIPELINE = {
    "pipeline.yml": "pipeline: unfed\ntopics: { unfed: { match: [nobody.sends.this] } }\n"
                    "tables: { unfed: { clean: clean.sql, key: [index], schema: { index: bigint } } }\n",
    "clean.sql": "SELECT index FROM raw\n",
}


def run(setup):
    """All loads in turn, as often as `--runs` says; the medians count."""
    args = setup.args
    need_disk(setup.work, max(8, args.seconds))
    lines = os.path.abspath(args.lines) if args.lines else setup.pins()[0]
    runs, result = {}, Result(setup)
    with Server(setup, PINLAKE_PIPELINE=pipeline(setup)) as server:
        result.fact(durability="fsync", seconds=args.seconds, runs=args.runs, rss_mib_start=server.rss_mib())
        for _ in range(args.runs):
            for shape in PRODUCED:
                note(runs, "produce: batches of {:,} bytes, partitions {}, connections {}".format(*shape), produce(setup, server, lines, *shape))
        result.fact(rss_mib_after_produce=server.rss_mib())
        fill(setup, server, lines)
        for _ in range(args.runs):
            for shape in FETCHED:
                note(runs, "fetch: answers of {:,} bytes, connections {}".format(*shape), fetch(setup, server, *shape))
        check_topic(setup, server, TOPIC)
        groups = wire(setup, server, "group", group="bench", groups=GROUPS)
        result.fact(rss_mib_after_fetch=server.rss_mib(), rss_mib_most=rss_mib_most(server.child.pid),
                    first_assignment_p50_ms=groups["p50_ms"], first_assignment_most_ms=groups["most_ms"])
    if args.client:
        for _ in range(args.runs):
            note(runs, "client: pinlake", client_on_pinlake(setup, lines, PINLAKE_PIPELINE=pipeline(setup)))
            note(runs, "client: pinlake, the topic feeds a table", client_on_pinlake(setup, lines))
            if args.tansu:
                note(runs, "client: broker in memory", client_on_peer(setup, lines))
    rows = {name: {column: round(statistics.median(one[column] for one in ones), 3) for column in ones[0]} for name, ones in runs.items()}
    for name, row in rows.items():
        result.row(name, row)
    if args.client and args.tansu:
        result.fact(**ratios(rows["client: pinlake"], rows["client: broker in memory"]))
    result.save("kafka")


def note(runs, name, figures):
    runs.setdefault(name, []).append(figures)


def pipeline(setup):
    """The folder of a pipeline that nothing sent here feeds."""
    folder = setup.work / "unfed-pipeline"
    folder.mkdir(exist_ok=True)
    for name, text in PIPELINE.items():
        (folder / name).write_text(text)
    return str(folder)


def produce(setup, server, lines, batch_bytes, partitions, connections):
    """One run on a new topic. The disk is asked right afterwards what it takes in appends of as many bytes as the log synced at once."""
    syncs, cpu = server.metric("pinlake_syncs_total"), server.cpu_s()
    report = wire(setup, server, "produce", topic=TOPIC, lines=lines, seconds=setup.args.seconds, batch_bytes=batch_bytes,
                  partitions=partitions, connections=connections)
    spent, syncs = server.cpu_s() - cpu, server.metric("pinlake_syncs_total") - syncs
    check_logged(server, report)
    bytes_a_sync = round(report["bytes"] / syncs)
    disk = disk_sync_mb_s(setup.work, bytes_a_sync)
    server.delete_topic(TOPIC)
    return {"mb_s": report["mb_s"], "disk_mb_s": disk, "of_disk": report["mb_s"] / disk, "bytes_a_sync": bytes_a_sync,
            "records_s": round(report["records_s"]), "cpu_us_a_record": spent / report["records"] * 1e6,
            "cpu_s_a_gb": spent / report["bytes"] * 1e9, "p50_ms": report["p50_ms"], "p99_ms": report["p99_ms"],
            "rss_mib": server.rss_mib()}


def check_logged(server, report):
    """What was acknowledged is in the log, by the offsets of either door."""
    held = server.log_records(TOPIC)
    if not report["records"] == report["logged"] == held:
        sys.exit(f"{report['records']} records were acknowledged, but the log holds {held}, and Kafka's offsets say {report['logged']}")


def fill(setup, server, lines):
    """Writes what is to be read, which is in memory from then on."""
    sent, reports = 0, []
    while sent < FETCHED_GIB * GIB:
        reports.append(wire(setup, server, "produce", topic=TOPIC, lines=lines, seconds=1, partitions=4, connections=4))
        sent += reports[-1]["bytes"]
    whole = {name: sum(report[name] for report in reports) for name in ["records", "logged"]}
    check_logged(server, whole)


def fetch(setup, server, max_bytes, connections):
    cpu = server.cpu_s()
    report = wire(setup, server, "fetch", topic=TOPIC, seconds=setup.args.seconds, max_bytes=max_bytes, connections=connections)
    spent = server.cpu_s() - cpu
    return {"mb_s": round(report["gb_s"] * 1000), "records_s": round(report["records_s"]),
            "cpu_us_a_record": spent / report["records"] * 1e6, "cpu_s_a_gb": spent / report["bytes"] * 1e9,
            "p50_ms": report["p50_ms"], "p99_ms": report["p99_ms"], "rss_mib": server.rss_mib()}


def check_topic(setup, server, topic):
    """Reads a topic from its first offset to its last: without holes, undamaged, and as many records as the log says it holds."""
    read, held = wire(setup, server, "fetch", "--check-crc", topic=topic, max_bytes=8 * MIB)["checked"], server.log_records(topic)
    if read != held:
        sys.exit(f"{read} records were read of topic '{topic}', but the log holds {held}")


def client_on_pinlake(setup, lines, **options):
    with Server(setup, **options) as server:
        figures = client(setup, lines, server.kafka_port, server.child.pid)
        taken, held = server.metric("pinlake_received_records_total", 'door="kafka"'), server.log_records(CLIENT_TOPIC)
        if taken != held:
            sys.exit(f"{taken:.0f} records were acknowledged to the client, but the log holds {held}")
        check_topic(setup, server, CLIENT_TOPIC)
        return figures


def client_on_peer(setup, lines):
    """A new broker each time: what it keeps in memory only grows."""
    [port] = free_ports(1)
    url = f"tcp://127.0.0.1:{port}"
    command = [setup.args.tansu, "broker", "--silent", "--listener-url", url, "--advertised-listener-url", url,
               "--storage-engine", "memory://tansu/"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_open(child, port)
        return client(setup, lines, port, child.pid)
    finally:
        child.kill()
        child.wait()


def wait_open(child, port):
    end = time.monotonic() + PEER_WAIT_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if child.poll() is not None or time.monotonic() > end:
            sys.exit(f"the broker in memory did not open port {port}")
        time.sleep(0.05)


def client(setup, lines, port, pid):
    """One run of the client's script, which is told the server's process and reports its CPU."""
    args, broker = setup.args, f"127.0.0.1:{port}"
    subprocess.run([args.peer_python, "-c", CREATE, broker, CLIENT_TOPIC], check=True)
    done = subprocess.run([args.peer_python, args.client, broker, str(lines), "--seconds", str(args.seconds)], stderr=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, env={**os.environ, "SPID": str(pid)})
    if done.returncode != 0:
        sys.exit(f"the client ended with {done.returncode}")
    report = json.loads(done.stdout.splitlines()[-1])
    sent, read = report["max_rate"], report["consume"]
    if sent["errors"] or not read["records"]:
        sys.exit(f"the client had {sent['errors']} errors and read {read['records']} records")
    return {"in_s": sent["rec_s"], "in_cpu_us": sent["server_cpu_us_per_rec"], "in_p50_ms": sent["p50_ms"], "in_p99_ms": sent["p99_ms"],
            "out_s": read["rec_s"], "out_cpu_us": read["server_cpu_us_per_rec"],
            "one_at_once_p50_ms": report["closed_loop_1"]["p50_ms"], "one_at_once_p99_ms": report["closed_loop_1"]["p99_ms"],
            "paced_p50_ms": report["paced_10k"]["p50_ms"], "paced_p99_ms": report["paced_10k"]["p99_ms"],
            "rss_mib": rss_mib_most(pid)}


def ratios(ours, theirs):
    """Ours to the peer's: rates are better above 1, CPU below."""
    return {f"{column}_of_peer": round(ours[column] / theirs[column], 3) for column in ["in_s", "out_s", "in_cpu_us", "out_cpu_us"]}
