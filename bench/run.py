#!/usr/bin/env python3
"""Measures a release build of Pinlake, beside peers where they are at hand. bench/README.md says what each step shows.

    bench/run.py batch     the batch job, beside Polars and DuckDB
    bench/run.py produce   Kafka REST into a topic that feeds no table, beside a bare HTTP server
    bench/run.py pins      new pins into archive and table
    bench/run.py rounds    syncs with 1, 10 and 100 dirty partitions
    bench/run.py kafka     Kafka's wire protocol: the server's own limit, and a client of others beside a broker in memory
    bench/run.py kinesis   PutRecord, PutRecords and GetRecords, beside a bare HTTP server and others that speak Kinesis
    bench/run.py start     binary, idle memory, start on an empty folder and on a large log
    bench/run.py table     all results as Markdown
"""
import argparse
import signal
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import results  # noqa: E402
import step_batch  # noqa: E402
import step_kafka  # noqa: E402
import step_kinesis  # noqa: E402
import step_pins  # noqa: E402
import step_produce  # noqa: E402
import step_rounds  # noqa: E402
import step_start  # noqa: E402
from workplace import HERE, PROJECT, Setup  # noqa: E402

STEPS = {"batch": step_batch, "produce": step_produce, "pins": step_pins, "rounds": step_rounds, "kafka": step_kafka,
         "kinesis": step_kinesis, "start": step_start}


def main():
    args = arguments()
    if args.step == "table":
        print(results.table(Path(args.results)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    STEPS[args.step].run(Setup(args))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("step", choices=[*STEPS, "table"])
    add("--pinlake", default=PROJECT / "target/release/pinlake", help="the binary (default: %(default)s)")
    add("--load", default=PROJECT / "target/release/pinlake-load", help="the load generator (default: %(default)s)")
    add("--work", default=PROJECT / "target/bench", help="folder for lakes and logs, on a real disk (default: %(default)s)")
    add("--results", default=HERE / "results", help="folder of the results (default: %(default)s)")
    add("--runs", type=int, default=3, help="batch, produce, kafka, kinesis: runs of which the median counts (default: %(default)s)")
    add("--seconds", type=float, default=10, help="produce, pins, rounds, kafka, kinesis: length of each load (default: %(default)s)")
    add("--posts", type=int, nargs="+", default=[10_000, 1_000_000, 5_000_000], help="batch: sizes to generate (default: %(default)s)")
    add("--raw", nargs="+", default=[], help="batch: raw lakes to take instead")
    add("--peers", help="batch: folder of the peers' scripts")
    add("--python", default=sys.executable, help="batch: Python with the peers' libraries (default: %(default)s)")
    add("--bare", help="produce, kinesis: a bare HTTP server on 127.0.0.1:8099")
    add("--rate", type=float, help="pins: pins a second (default: as many as are taken)")
    add("--lines", help="kafka: a file of records, one a line (default: generated pins)")
    add("--client", help="kafka: a client's script, called with BROKER FILE --seconds N; without it only the load generator runs")
    add("--peer-python", default=sys.executable, help="kafka: Python with the client's library (default: %(default)s)")
    add("--tansu", help="kafka: the broker in memory to run the client against as well")
    add("--kinesis-peer", nargs="+", default=[], metavar="NAME=PORT=COMMAND", help="kinesis: programs that speak Kinesis, and how to start them")
    add("--gib", type=float, default=10, help="start: size of the large log, 0 for none (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
