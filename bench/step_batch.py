"""The batch job beside peers on the same lake. Several sizes show how time and memory grow."""
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from machine import GIB, MIB, disk_bytes, measured, need_disk, read_pages
from results import Result
from workplace import environment

PEERS = ["polars", "duckdb"]


def run(setup):
    """Lakes that are given, or else generated ones of the given sizes; a result each."""
    for lake in [Path(raw).absolute() for raw in setup.args.raw] or [setup.lake(posts) for posts in setup.args.posts]:
        compare(setup, lake)


def compare(setup, lake):
    commands = contestants(setup)
    outs = {name: setup.work / f"out-{name}" for name in commands}
    runs = {name: [] for name in commands}
    size = disk_bytes(lake / "topics")
    need_disk(setup.work, len(commands) * size / GIB)
    result = Result(setup)
    read_pages(lake / "topics")
    # In turn and not one after the other, so that a slow minute of the machine is everybody's.
    for _ in range(setup.args.runs):
        for name, command in commands.items():
            shutil.rmtree(outs[name], ignore_errors=True)
            cost, shown = measured([*command, lake, outs[name]], env=environment(PYTHONDONTWRITEBYTECODE="1"))
            runs[name].append(cost)
            print(f"{name:<8} {cost}", flush=True)
            if name == "pinlake":
                posts, rows = pins_of(shown)
    result.fact(posts=posts, rows_of_pin=rows, raw_mib=round(size / MIB), runs=setup.args.runs)
    if len(outs) > 1:
        result.fact(answers_equal=answers_equal(outs), tables_equal=tables_equal(setup, outs))
    for name, costs in runs.items():
        result.row(name, median(costs))
    result.save(f"batch-{posts}")
    for out in outs.values():
        shutil.rmtree(out)


def contestants(setup):
    found = {"pinlake": [setup.pinlake, "batch"]}
    if setup.args.peers:
        found |= {peer: [setup.args.python, Path(setup.args.peers) / f"peers/peer_{peer}.py"] for peer in PEERS}
    return found


def pins_of(shown):
    """The posts and the rows of `pin`, as `pinlake batch` prints them."""
    found = re.search(r"^pin: (\d+) records, (\d+) rows", shown, re.M)
    if not found:
        sys.exit(f"pinlake batch did not say how many pins it took and made: {shown}")
    return int(found[1]), int(found[2])


def median(costs):
    """The run with the median CPU, and the range of CPU over the runs."""
    cpus = sorted(cost["cpu_s"] for cost in costs)
    middle = next(cost for cost in costs if cost["cpu_s"] == cpus[(len(cpus) - 1) // 2])
    return {**middle, "cpu_s_least": cpus[0], "cpu_s_most": cpus[-1]}


def answers_equal(outs):
    return len({hashlib.sha256((out / "answers.json").read_bytes()).digest() for out in outs.values()}) == 1


def tables_equal(setup, outs):
    """Whether the peers' own comparison finds the same rows everywhere."""
    order = sorted(outs, key=lambda name: name == "pinlake")
    command = [setup.args.python, Path(setup.args.peers) / "verify.py", *(outs[name] for name in order)]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    return done.returncode == 0
