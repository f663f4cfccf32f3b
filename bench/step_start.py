"""The idle server's memory, the binary's size, and the time from start to ready on an empty folder and on a large log."""
import shutil
import signal
import statistics
import time

from machine import GIB, MIB, forget_pages, need_disk
from results import Result
from server import Load, Server

EMPTY_RUNS, SETTLE_S = 7, 3


def run(setup):
    ready, result = [], Result(setup)
    for _ in range(EMPTY_RUNS):
        with Server(setup) as server:
            ready.append(server.ready_s)
    with Server(setup) as server:
        time.sleep(SETTLE_S)
        idle = server.rss_mib()
    result.fact(binary_mib=round(setup.pinlake.stat().st_size / MIB, 1), idle_rss_mib=idle, ready_empty_s=statistics.median(ready))
    if setup.args.gib:
        large(setup, result)
    result.save("start")


def large(setup, result):
    """A log of `--gib` in four partitions. It is not written with fsync, because here it is only to be there."""
    need_disk(setup.work, setup.args.gib + 2)
    data, (lines, _) = setup.work / "large-log", setup.pins()
    shutil.rmtree(data, ignore_errors=True)
    load = lambda server, seconds: Load(setup, server.port, "/topics/large", lines, records=100, seconds=seconds).report()
    try:
        with Server(setup, data, PINLAKE_LOG_DURABILITY="os") as server:
            server.create_topic("large", 4)
            while (size := server.metric("pinlake_log_bytes")) < setup.args.gib * GIB:
                load(server, 2)
        result.fact(log_gib=round(size / GIB, 1))
        with Server(setup, data) as server:
            result.fact(ready_large_s=server.ready_s)
            time.sleep(SETTLE_S)
            result.fact(idle_large_rss_mib=server.rss_mib())
        forget_pages(data)
        with Server(setup, data) as server:
            result.fact(ready_large_not_in_memory_s=server.ready_s)
            load(server, 1)
            server.stop(signal.SIGKILL)
        with Server(setup, data) as server:
            result.fact(ready_large_after_kill_s=server.ready_s)
    finally:
        shutil.rmtree(data, ignore_errors=True)
