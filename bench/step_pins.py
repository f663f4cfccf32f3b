"""Pins with new keys into a topic that feeds the table `pin`, archive and table beside: cost of a pin, memory and lag over time."""
import shutil
import sys
import time
from pathlib import Path

from machine import GIB, disk_bytes, need_disk
from results import Result
from server import Load, Server

TOPIC, RECORDS, CONNECTIONS = "bench.pin", 100, 32
PARTS = {"log": "log", "archive": "lake/topics", "table": "lake/tables"}
#: Below this the run is ended, so that it never fills the disk.
FREE_GIB = 4
#: How often the server measures its lag.
LAG_S = 2.0


def run(setup):
    """As many as are taken, or `--rate` a second; then everything is committed and counted."""
    need_disk(setup.work, FREE_GIB)
    (lines, record_bytes), result, args = setup.pins(), Result(setup), setup.args
    with Server(setup) as server:
        cpu, begun = server.cpu_s(), time.monotonic()
        load = Load(setup, server.port, f"/topics/{TOPIC}", lines, "--new-keys", records=RECORDS, connections=CONNECTIONS,
                    seconds=args.seconds, rate=args.rate)
        samples = list(watched(setup, server, load, begun))
        report, ended = load.report(), time.monotonic()
        server.api("POST", "/api/v1/flush")
        committed, spent = time.monotonic(), server.cpu_s() - cpu
        check(server, report["records"])
        sent = report["records"]
        result.fact(
            durability="fsync", record_bytes=record_bytes, seconds=args.seconds, rate=args.rate or "as many as are taken", pins=sent,
            pins_s_taken=round(report["records_s"]), pins_s_committed=round(sent / (committed - begun)),
            pins_cpu_s_until_committed=round(sent / spent), cpu_us_a_pin_until_committed=round(spent / sent * 1e6, 2),
            catch_up_s=round(committed - ended, 2), p50_ms=report["p50_ms"], p99_ms=report["p99_ms"],
            rss_mib_most=max(one["rss_mib"] for one in samples), rss_mib_committed=server.rss_mib(), ledger_closed=True,
            **{f"lag_{who}_most_in_{half}_half": most for who in ["table", "archive"] for half, most in halves(samples, f"lag_{who}")},
            **{f"disk_bytes_a_pin_{part}": round(disk_bytes(Path(server.data) / folder) / sent) for part, folder in PARTS.items()},
        )
    for one in samples:
        result.row(f"{one.pop('at_s')} s", one)
    result.save("pins")


def watched(setup, server, load, begun):
    """Memory and lag while the load runs: twenty samples, or fewer in a short run."""
    every, turn = max(LAG_S, setup.args.seconds / 20), 1
    while load.is_running():
        if time.monotonic() - begun < turn * every:
            time.sleep(0.05)
            continue
        turn += 1
        if shutil.disk_usage(setup.work).free < FREE_GIB * GIB:
            load.child.kill()
            sys.exit(f"less than {FREE_GIB} GiB are free below {setup.work}: give fewer --seconds, a lower --rate, or another --work")
        yield {"at_s": round(time.monotonic() - begun), "rss_mib": server.rss_mib(),
               "lag_table": round(server.metric("pinlake_lag_records", 'follower="pin"')),
               "lag_archive": round(server.metric("pinlake_lag_records", 'follower="archive"')),
               "rows": round(server.metric("pinlake_committed_rows_total", 'table="pin"')),
               "freshness_s": round(server.metric("pinlake_freshness_seconds", 'table="pin"'), 1)}


def halves(samples, column):
    """The most in the first and in the second half of the samples: what does not keep up grows from one to the other."""
    middle = (len(samples) + 1) // 2
    return [(name, max((one[column] for one in part), default=0))
            for name, part in [("first", samples[:middle]), ("second", samples[middle:])]]


def check(server, sent):
    """Everything that was acknowledged is in archive and table, each key once, and the ledger is closed."""
    ledger = server.api("GET", "/api/v1/ledger")
    rows = server.api("POST", "/api/v1/sql", {"sql": "SELECT count(*) FROM pin", "format": "json"})["rows"][0][0]
    parts = [part for table in ledger["tables"] for part in table["partitions"] if part["topic"] == TOPIC]
    position, archived = sum(part["position"] for part in parts), sum(part["archived"] for part in parts)
    if not ledger["closed"] or {rows, position, archived} != {sent}:
        sys.exit(f"{sent} pins were acknowledged, but the table has {rows} rows at position {position}, the archive {archived} records, "
                 f"and the ledger says closed: {ledger['closed']}")
