"""A server of the binary under test on a folder and a port of its own, and the load generator beside it."""
import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from machine import cpu_s, rss_mib
from workplace import environment

READY_S = 120


class Server:
    """`with Server(setup) as server:`; the folder goes afterwards unless it was given."""

    def __init__(self, setup, data=None, **options):
        self.setup, self.given, self.options = setup, data, options

    def __enter__(self):
        self.data = self.given or tempfile.mkdtemp(prefix="server-", dir=self.setup.work)
        self.port, self.kafka_port = free_ports(2)
        env = environment(PINLAKE_HTTP_LISTEN=f"127.0.0.1:{self.port}", PINLAKE_KAFKA_LISTEN=f"127.0.0.1:{self.kafka_port}",
                          **self.options)
        begun = time.perf_counter()
        with open(self.setup.work / "server.log", "w") as log:
            command = [self.setup.pinlake, "serve", "--data-dir", self.data]
            self.child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=log)
        self.wait_ready(begun)
        return self

    def wait_ready(self, begun):
        while not self.is_ready():
            if self.child.poll() is not None or time.perf_counter() - begun > READY_S:
                self.__exit__()
                sys.exit(f"the server was not ready within {READY_S} s: see {self.setup.work / 'server.log'}")
            time.sleep(0.002)
        self.ready_s = round(time.perf_counter() - begun, 3)

    def is_ready(self):
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def __exit__(self, *_):
        self.stop()
        if self.given is None:
            shutil.rmtree(self.data, ignore_errors=True)

    def stop(self, how=signal.SIGTERM):
        self.child.send_signal(how)
        try:
            self.child.wait(READY_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def api(self, method, path, body=None):
        status, text = self.ask(method, path, body)
        if status >= 300:
            sys.exit(f"{method} {path} was answered {status}: {text}")
        return json.loads(text) if text else None

    def create_topic(self, name, partitions=1):
        self.api("POST", f"/api/v1/topics/{name}", {"partitions": partitions})

    def delete_topic(self, name):
        self.api("DELETE", f"/api/v1/topics/{name}")

    def metric(self, name, label=""):
        """The sum of a metric over its labels, or over those series that have `label`."""
        series = (line.rsplit(" ", 1) for line in self.ask("GET", "/metrics")[1].splitlines() if re.match(rf"{name}[ {{]", line))
        return sum(float(value) for labels, value in series if label in labels)

    def log_records(self, name=None):
        """Records in the log, of one topic or over all."""
        topics = self.api("GET", "/api/v1/topics")["topics"]
        return sum(offsets["end"] - offsets["start"] for topic in topics if name in (None, topic["name"]) for offsets in topic["offsets"])

    def cpu_s(self):
        return cpu_s(self.child.pid)

    def rss_mib(self):
        return rss_mib(self.child.pid)


def free_ports(count):
    """Ports of the loopback that nobody listens on."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wire(setup, server, what, *flags, **options):
    """One run of the load generator by Kafka's wire protocol: its report."""
    return load_report(setup, f"wire-{what}", *flags, to=f"127.0.0.1:{server.kafka_port}", **options)


def load_report(setup, what, *flags, **options):
    """One run of the load generator: its report. Anything that went wrong ends the program."""
    command = [setup.load_program, what, *flags]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", value]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"the load generator ended with {done.returncode}")
    return json.loads(done.stdout)


class Load:
    """One run of the load generator. `report` waits for its end; anything that was not taken ends the program."""

    def __init__(self, setup, port, path, lines, *flags, **options):
        command = [setup.load_program, "post", "--to", f"127.0.0.1:{port}", "--lines", lines, *flags]
        for name, value in {"path": path, **options}.items():
            if value is not None:
                command += [f"--{name}", value]
        self.child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)

    def is_running(self):
        return self.child.poll() is None

    def report(self):
        shown, _ = self.child.communicate()
        if self.child.returncode != 0:
            sys.exit(f"the load generator ended with {self.child.returncode}")
        report = json.loads(shown)
        if report["failed"]:
            sys.exit(f"{report['failed']} connections failed, the first with: {report['failure']}")
        return report
