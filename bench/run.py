#!/usr/bin/env python3
"""Measures a release build of Pinlake, beside its peers where they are at hand, and renders docs/performance.md's tables.

    bench/run.py batch   [--posts 1000000] [--peers DIR --python PY]
    bench/run.py small
    bench/run.py start   [--gib 10]
    bench/run.py produce [--seconds 10] [--bare PROGRAM]
    bench/run.py pins    [--seconds 300]
    bench/run.py rounds
    bench/run.py table

Each step writes bench/results/STEP.json; `table` prints all of them as Markdown. Needs Python 3.9, and wrk for the doors. Of the
peers it needs a folder with peers/peer_polars.py and peers/peer_duckdb.py, called with RAW and OUT (--peers), the Python that
has their libraries (--python), and a bare HTTP server that takes a port's POSTs (--bare, listens on 127.0.0.1:8099).
"""
import argparse, atexit, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time, urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
MIB = 1 << 20


def stamp():
    """When, and how busy the machine was."""
    return {"date": time.strftime("%Y-%m-%d %H:%M"), "load": os.getloadavg()[0], "cores": os.cpu_count()}


def save(name, figures):
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**stamp(), **figures}, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def measured(command):
    """Wall and CPU seconds and peak MiB of one command, its children included."""
    begun = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return {
        "wall_s": round(time.monotonic() - begun, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "rss_mib": usage.ru_maxrss // 1024,
    }


def best(runs):
    """The run with the median CPU."""
    return sorted(runs, key=lambda run: run["cpu_s"])[len(runs) // 2]


class Server:
    """A server of the release build on a folder of its own."""

    def __init__(self, args, data, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, **environment, "PINLAKE_HTTP_LISTEN": f"127.0.0.1:{self.port}"}
        begun = time.monotonic()
        self.child = subprocess.Popen(
            [args.pinlake, "serve", "--data-dir", str(data)], env=environment, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.child.kill)
        for line in self.child.stdout:
            if line.startswith("Pinlake listens"):
                break
        else:
            sys.exit("the server ended before it listened")
        self.ready_s = round(time.monotonic() - begun, 2)

    def stat(self):
        """CPU seconds and resident MiB so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return cpu, int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return answer.read().decode()

    def topic(self, name, partitions):
        self.post(f"/api/v1/topics/{name}", json.dumps({"partitions": partitions}).encode())

    def post(self, path, body=b"{}", kind="application/json"):
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def metric(self, name):
        """The sum of a metric over its labels."""
        lines = (line for line in self.get("/metrics").splitlines() if re.match(rf"{name}[ {{]", line))
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(60)


def pins(args, count):
    """A file of raw pins, one a line."""
    lake = Path(args.work) / f"pins-{count}"
    if not lake.exists():
        subprocess.run([args.pinlake, "generate", lake, "--posts", str(count), "--duplicates", "0"], check=True,
                       stdout=subprocess.DEVNULL)
    lines = Path(args.work) / f"pins-{count}.jsonl"
    with lines.open("wb") as out:
        for part in sorted(lake.glob("topics/*.pin/partition=*/*.json")):
            out.write(part.read_bytes())
    return lines


def wrk(url, records, lines, seconds, connections=32):
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", HERE / "post.lua", url, "--", str(records), lines]
    shown = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    return json.loads(next(line for line in shown.splitlines() if line.startswith("{")))


def batch(args):
    raw = Path(args.raw) if args.raw else Path(args.work) / f"lake-{args.posts}"
    if not raw.exists():
        subprocess.run([args.pinlake, "generate", raw, "--posts", str(args.posts)], check=True, stdout=subprocess.DEVNULL)
    size = sum(part.stat().st_size for part in raw.rglob("*") if part.is_file())
    contestants = {"pinlake": [args.pinlake, "batch", raw]}
    if args.peers:
        for peer in ["polars", "duckdb"]:
            contestants[peer] = [args.python, Path(args.peers) / "peers" / f"peer_{peer}.py", raw]
    figures, answers = {}, {}
    for name, command in contestants.items():
        runs = []
        for _ in range(args.runs):
            out = Path(args.work) / f"out-{name}"
            shutil.rmtree(out, ignore_errors=True)
            runs.append(measured([*command, out]))
        figures[name] = best(runs)
        answers[name] = (out / "answers.json").read_bytes()
    same = len(set(answers.values())) == 1
    save(args.name or f"batch-{args.posts}", {"posts": args.posts, "raw_bytes": size, "answers_equal": same, "runs": figures})


def small(args):
    args.posts, args.name = 10_000, "small"
    batch(args)


def start(args):
    with tempfile.TemporaryDirectory(dir=args.work) as data:
        server = Server(args, data)
        time.sleep(3)
        empty, idle = server.ready_s, server.stat()[1]
        server.stop()
    figures = {"ready_empty_s": empty, "idle_rss_mib": idle, "binary_mib": round(Path(args.pinlake).stat().st_size / MIB, 1)}
    if args.gib:
        data = Path(args.work) / "large-log"
        shutil.rmtree(data, ignore_errors=True)
        server = Server(args, data, PINLAKE_LOG_DURABILITY="os")
        server.topic("large", 4)
        lines = pins(args, 20_000)
        while server.metric("pinlake_log_bytes") < args.gib << 30:
            wrk(f"{server.url}/topics/large", 100, lines, 10)
        figures["log_gib"] = round(server.metric("pinlake_log_bytes") / (1 << 30), 1)
        server.stop()
        server = Server(args, data)
        figures["ready_large_s"] = server.ready_s
        server.child.kill()
        server = Server(args, data)
        figures["ready_large_after_kill_s"] = server.ready_s
        server.stop()
        shutil.rmtree(data)
    save("start", figures)


def disk_sync_ms(folder):
    """The median of writing 4 KiB and syncing it."""
    times = []
    with open(Path(folder) / "sync-probe", "wb") as probe:
        for _ in range(200):
            begun = time.monotonic()
            probe.write(b"x" * 4096)
            probe.flush()
            os.fdatasync(probe.fileno())
            times.append((time.monotonic() - begun) * 1000)
    return round(statistics.median(times), 3)


def door(cpu, url, records, lines, seconds):
    begun = cpu()
    run = wrk(url, records, lines, seconds)
    spent = cpu() - begun
    sent = run["requests"] * records
    if run["failed"]:
        sys.exit(f"{run['failed']} requests failed")
    return {
        "records_s": round(sent / run["seconds"]),
        "records_cpu_s": round(sent / spent),
        "p50_ms": run["p50_ms"],
        "p99_ms": run["p99_ms"],
    }


def produce(args):
    lines = pins(args, 20_000)
    figures = {"disk_sync_ms": disk_sync_ms(args.work)}
    with tempfile.TemporaryDirectory(dir=args.work) as data:
        server = Server(args, data)
        server.topic("unfed", 1)
        for records in [1, 100]:
            figures[f"pinlake_{records}"] = door(lambda: server.stat()[0], f"{server.url}/topics/unfed", records, lines, args.seconds)
        server.stop()
    if args.bare:
        bare = subprocess.Popen([args.bare, "2"])
        atexit.register(bare.kill)
        time.sleep(1)
        def cpu():
            fields = Path(f"/proc/{bare.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for records in [1, 100]:
            figures[f"bare_{records}"] = door(cpu, "http://127.0.0.1:8099/topics/unfed", records, lines, args.seconds)
        bare.kill()
    save("produce", figures)


def pins_step(args):
    """Pins into a topic that feeds a table, with archive and table keeping up; keys repeat after the first 200,000."""
    lines = pins(args, args.keys)
    with tempfile.TemporaryDirectory(dir=args.work) as data:
        server = Server(args, data)
        samples, done = [], threading.Event()

        def sample():
            while not done.wait(5):
                samples.append({"rss_mib": server.stat()[1], "lag_records": round(server.metric("pinlake_lag_records"))})

        watch = threading.Thread(target=sample)
        watch.start()
        begun = server.stat()[0]
        run = wrk(f"{server.url}/topics/u0.pin", 100, lines, args.seconds, connections=args.connections)
        sent = run["requests"] * 100
        server.post("/api/v1/flush")
        spent = server.stat()[0] - begun
        done.set()
        watch.join()
        ledger = json.loads(server.get("/api/v1/ledger"))
        server.stop()
    save("pins", {
        "seconds": args.seconds, "records": sent, "records_s": round(sent / run["seconds"]),
        "records_cpu_s_until_committed": round(sent / spent), "p50_ms": run["p50_ms"], "p99_ms": run["p99_ms"],
        "failed": run["failed"], "ledger_closed": ledger["closed"], "rss_mib": [one["rss_mib"] for one in samples],
        "lag_records": [one["lag_records"] for one in samples],
    })


def rounds(args):
    """Syncs of one commit round, by how many partitions are dirty: one request reaches them all."""
    figures = {}
    with tempfile.TemporaryDirectory(dir=args.work) as data:
        server = Server(args, data)
        for partitions in [1, 10, 100]:
            topic = f"spread-{partitions}"
            server.topic(topic, partitions)
            records = [{"value": {"n": n}, "partition": n} for n in range(partitions)]
            body = json.dumps({"records": records}).encode()
            kind = "application/vnd.kafka.json.v2+json"
            server.post(f"/topics/{topic}", body, kind)
            syncs, begun = server.metric("pinlake_syncs_total"), time.monotonic()
            for _ in range(args.requests):
                server.post(f"/topics/{topic}", body, kind)
            wall = time.monotonic() - begun
            syncs = server.metric("pinlake_syncs_total") - syncs
            figures[str(partitions)] = {"syncs_a_round": round(syncs / args.requests, 2), "ms_a_round": round(wall * 1000 / args.requests, 2)}
        server.stop()
    save("rounds", {"disk_sync_ms": disk_sync_ms(args.work), "rounds": figures})


def table(_):
    for path in sorted(RESULTS.glob("*.json")):
        figures = json.loads(path.read_text())
        print(f"### {path.stem}: {figures.pop('date')}, load {figures.pop('load'):.2f}, {figures.pop('cores')} cores\n")
        rows = figures.pop("runs", None) or figures.pop("rounds", None)
        for name, value in figures.items():
            print(f"- {name}: {json.dumps(value)}")
        if rows:
            columns = list(next(iter(rows.values())))
            print("\n| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
            for name, row in rows.items():
                print(f"| {name} | " + " | ".join(str(row[column]) for column in columns) + " |")
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["batch", "small", "start", "produce", "pins", "rounds", "table"])
    parser.add_argument("--pinlake", default=str(HERE.parent / "target/release/pinlake"), help="the release binary")
    parser.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "pinlake-bench"), help="folder for lakes and logs")
    parser.add_argument("--peers", help="folder of the peers' scripts")
    parser.add_argument("--python", default=sys.executable, help="Python of the peers")
    parser.add_argument("--bare", help="a bare HTTP server on port 8099")
    parser.add_argument("--raw", help="a raw lake to use instead of a generated one")
    parser.add_argument("--name", help="name of the result")
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--gib", type=int, default=10)
    args = parser.parse_args()
    args.seconds = args.seconds or {"pins": 300}.get(args.step, 10)
    Path(args.work).mkdir(parents=True, exist_ok=True)
    steps = {"batch": batch, "small": small, "start": start, "produce": produce, "pins": pins_step, "rounds": rounds, "table": table}
    steps[args.step](args)


if __name__ == "__main__":
    main()
