"""A round of syncs with 1, 10 and 100 dirty partitions: each request has one record for each partition, one request at a time."""
from machine import disk_sync_ms
from results import Result
from server import Load, Server

PARTITIONS = [1, 10, 100]


def run(setup):
    (lines, record_bytes), result = setup.pins(), Result(setup)
    with Server(setup) as server:
        for partitions in PARTITIONS:
            topic = f"spread-{partitions}"
            server.create_topic(topic, partitions)
            cpu, syncs = server.cpu_s(), server.metric("pinlake_syncs_total")
            report = Load(setup, server.port, f"/topics/{topic}", lines, records=partitions, partitions=partitions, connections=1,
                          seconds=setup.args.seconds).report()
            result.row(f"{partitions} partitions", {
                "rounds": report["requests"], "p50_ms": report["p50_ms"], "p99_ms": report["p99_ms"],
                "syncs_a_round": round((server.metric("pinlake_syncs_total") - syncs) / report["requests"], 2),
                "cpu_ms_a_round": round((server.cpu_s() - cpu) * 1000 / report["requests"], 3),
                "disk_p50_ms": disk_sync_ms(setup.work, record_bytes),
            })
            server.delete_topic(topic)
    result.fact(record_bytes=record_bytes, seconds=setup.args.seconds)
    result.save("rounds")
