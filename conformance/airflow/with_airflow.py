"""Airflow runs DAGs against the server: `PYTHON with_airflow.py URL`, where that python has one of Airflow's versions that the lists of this
folder name; each does what it is there for, or only what is named behind the URL. A token stands in PINLAKE_TEST_TOKEN. The server has the
jobs of `pipeline/` and some posts."""

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "kinesis"))

from api import Api
from checking import Run, restart, same, start, until
from dag_tests import DAG_S, Airflow, airflow_version
from gate import Gate

# All of a version's DAGs, on a machine that has much else to do.
RUN_S = 1500
CLASSIC, CLASSIC_3 = "0c5f7a91e2b4_dag", "0c5f7a91e2b4_dag_3"
OF_FAN_OUT = ["load_data", "clean_pin", "clean_geo", "clean_user", "query_data"]

url, *only = start(RUN_S)
api, gate = Api(url), Gate()


def newest_is(result, **wanted):
    """That the last run somebody submitted ended so."""
    newest = api.submitted()[0]
    same(newest["state"].get("result_state"), result, "how the run ended")
    same({name: newest.get(name) for name in wanted}, wanted, "the run")


def connection():
    """The button 'test connection'."""
    tested = "from airflow.providers.databricks.hooks.databricks import DatabricksHook as H; print(H('databricks_default').test_connection())"
    done = subprocess.run([sys.executable, "-c", tested], env=airflow.env, capture_output=True, text=True, timeout=DAG_S)
    same(done.stdout.strip().splitlines()[-1:], ["(True, 'Connection successfully tested')"], done.stderr[-1000:])


def wrong_token():
    """Nobody gets in with another token, and the log says so."""
    airflow.connect(airflow.as_json(token="another"))
    try:
        tested = airflow.tested("unknown_dag")
    finally:
        airflow.connect(airflow.as_json())
    tested.expect("failed")
    tested.holds("401", "UNAUTHENTICATED")


def classic():
    """The daily DAG, unchanged, with the connection that the server says to copy."""
    airflow.connect(airflow.as_told())
    try:
        tested = airflow.tested(CLASSIC if airflow_version() < (3, 0) else CLASSIC_3)
    finally:
        airflow.connect(airflow.as_json())
    tested.expect("success")
    newest_is("SUCCESS", run_name="submit_run")


def fan_out():
    """Five notebooks, each path in another form."""
    before = len(api.submitted())
    tested = airflow.tested("fan_out_dag")
    tested.expect("success")
    new = api.submitted()[: len(api.submitted()) - before]
    same(sorted(run["run_name"] for run in new), sorted(OF_FAN_OUT), "the runs")
    same({run["state"].get("result_state") for run in new}, {"SUCCESS"}, "how they ended")


def failing():
    """A check that finds rows fails its task, with the reason."""
    tested = airflow.tested("failing_dag")
    tested.expect("failed")
    tested.holds("no_posts", "TERMINATED")
    newest_is("FAILED")


def failing_deferrable():
    tested = airflow.tested("failing_deferrable_dag")
    tested.expect("failed")
    tested.holds("no_posts")


def unknown_notebook():
    """What stands for nothing fails with the line that is to be added."""
    tested = airflow.tested("unknown_dag")
    tested.expect("failed")
    tested.holds("INTERNAL_ERROR", "/Users/someone@example.com/Nobody Knows", "match: ")


def run_now():
    airflow.tested("run_now_dag", JOB=str(api.job("query_data"))).expect("success")


def statements():
    airflow.tested("statements_dag").expect("success")


def wrong_statement():
    tested = airflow.tested("wrong_statement_dag")
    tested.expect("failed")
    tested.holds("no_such_column")


def deferrable():
    """A task that its triggerer waits for."""
    gate.shut()
    with airflow.testing("deferrable_dag") as tested:
        tested.until_says("running trigger in line")
        gate.until_arrived(within_s=DAG_S)
        gate.open()
        tested.end()
    tested.expect("success")


def cancelled():
    """A task that somebody ends takes its run with it."""
    gate.shut()
    with airflow.testing("waiting_dag") as tested:
        gate.until_arrived(within_s=DAG_S)
        tested.until_says("Sleeping for")
        tested.kill_task()
        tested.end()
        run = api.submitted()[0]
        tested.holds(f"run_id: {run['run_id']} was requested to be cancelled")
    same(airflow.states("waiting_dag")[1], {"submit_run": "failed"}, "the task")

    def ended():
        return api.get("jobs/runs/get", run_id=run["run_id"])["state"].get("result_state")

    same(until("the run ends", ended), "CANCELED", "the run")
    gate.open()


def restarted():
    """A server that is killed and starts again is not noticed: the run goes on, and is the only one."""
    gate.shut()
    before = len(api.submitted())
    with airflow.testing("waiting_dag") as tested:
        gate.until_arrived(within_s=DAG_S)
        tested.until_says("Sleeping for")
        same(restart("KILL"), url, "the server's address")
        gate.until_arrived(2, within_s=DAG_S)
        gate.open()
        tested.end()
    tested.expect("success")
    same(len(api.submitted()) - before, 1, "runs")
    newest_is("SUCCESS")


EVERYWHERE = [classic, failing, cancelled]
BOTH = [*EVERYWHERE, fan_out, deferrable]
PLANS = {
    (2, 9): EVERYWHERE,
    (2, 11): [connection, wrong_token, *BOTH, failing_deferrable, unknown_notebook, run_now, statements, wrong_statement, restarted],
    (3, 3): BOTH,
}

with tempfile.TemporaryDirectory(prefix="airflow-") as home:
    airflow = Airflow(home, url, gate)
    run = Run()
    for body in PLANS[airflow_version()]:
        if not only or body.__name__ in only:
            run.check(body)
run.end()
