"""Airflow as a person has it who tries a DAG out: a home of its own with SQLite, a connection in the environment, `airflow dags test`."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.parse
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from api import TOKEN
from checking import until

DAGS = Path(__file__).parent / "dags"
# How long a DAG may take: two of the operator's pauses and more.
DAG_S = 150
# Nobody outside is told or asked anything.
QUIET = {
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "DO_NOT_TRACK": "1",
    "SCARF_ANALYTICS": "false",
    "no_proxy": "*",
}


def airflow_version():
    try:
        return tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])
    except PackageNotFoundError:
        return tuple(int(part) for part in version("apache-airflow").split(".")[:2])


class Airflow:
    """A home with its database."""

    def __init__(self, home, url, gate):
        self.home = home
        self.url = urllib.parse.urlsplit(url)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        own = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), "GATE": gate.port}
        self.env = kept | QUIET | own
        self.connect(self.as_json())
        self.run("db", "migrate")

    def connect(self, connection):
        """Has the DAGs use this connection from now on."""
        self.env["AIRFLOW_CONN_DATABRICKS_DEFAULT"] = connection

    def as_json(self, token=TOKEN):
        """The connection as JSON. What is older than provider 6.12 knows https only, and takes the port with the host."""
        if self.url.scheme == "https":
            return json.dumps({"conn_type": "databricks", "host": self.url.netloc, "password": token})
        place = {"host": f"http://{self.url.hostname}", "port": self.url.port, "schema": "http"}
        return json.dumps({"conn_type": "databricks", "password": token} | place)

    def as_told(self):
        """The line that the server shows for copying, where the test that runs this hands it on."""
        return os.environ.get("AIRFLOW_CONN_DATABRICKS_DEFAULT") or self.as_json()

    def run(self, *args):
        """What a command prints that does its work."""
        done = subprocess.run([sys.executable, "-m", "airflow", *args], env=self.env, capture_output=True, text=True, timeout=DAG_S)
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(args)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    @contextlib.contextmanager
    def testing(self, dag, **env):
        """`airflow dags test` while it runs; it is gone when this ends."""
        tested = Tested(self, dag, self.env | env)
        try:
            yield tested
        finally:
            tested.process.kill()
            tested.process.wait()

    def tested(self, dag, **env):
        """A DAG run to its end."""
        with self.testing(dag, **env) as tested:
            tested.end()
            return tested

    def states(self, dag):
        """How the last run of a DAG stands, and its tasks."""
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30)) as database:
            run, state = database.execute("SELECT run_id, state FROM dag_run WHERE dag_id = ? ORDER BY id DESC", (dag,)).fetchone()
            tasks = "SELECT task_id, state FROM task_instance WHERE dag_id = ? AND run_id = ?"
            return state, dict(database.execute(tasks, (dag, run)).fetchall())


class Tested:
    """A DAG that is tried out. The logs of its tasks are what it prints."""

    def __init__(self, airflow, dag, env):
        self.airflow, self.dag, self.log = airflow, dag, ""
        self._grown = threading.Condition()
        args = [sys.executable, "-m", "airflow", "dags", "test", dag]
        self.process = subprocess.Popen(args, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until_says(self, text):
        """Waits until a log holds a text."""
        with self._grown:
            self._grown.wait_for(lambda: text in self.log or not self._reader.is_alive(), DAG_S)
            if text not in self.log:
                raise AssertionError(f"{self.dag} never says '{text}': {self.log[-2000:]}")

    def kill_task(self):
        """Ends the task as Airflow does when somebody marks it as failed, while it sleeps between two looks: Airflow 3 logs in its handler of the
        signal, and waits for ever where the signal meets it inside another line of the log, whose lock is structlog's and not reentrant."""
        until("the task sleeps", self._sleeps)
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        try:
            self.process.wait(DAG_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.dag} does not end within {DAG_S} s: {self.log[-3000:]}") from None
        self._reader.join(DAG_S)

    def expect(self, state, **tasks):
        """The state that the run and its tasks must have; those that are not named, the run's."""
        found, of_tasks = self.airflow.states(self.dag)
        wanted = {task: tasks.get(task, state) for task in of_tasks}
        if (found, of_tasks) != (state, wanted):
            raise AssertionError(f"{self.dag} is {found}, {of_tasks}, not {state}, {wanted}: {self.log[-3000:]}")

    def holds(self, *texts):
        """That a person finds these texts in the log."""
        for text in texts:
            if text not in self.log:
                raise AssertionError(f"the log of {self.dag} does not hold '{text}': {self.log[-3000:]}")

    def _sleeps(self):
        """Whether the kernel has the main thread in a sleep."""
        return "nanosleep" in Path(f"/proc/{self.process.pid}/wchan").read_text()

    def _read(self):
        for line in self.process.stdout:
            with self._grown:
                self.log += line
                self._grown.notify_all()
        with self._grown:
            self._grown.notify_all()
