"""databricks-sdk does with the server what it does with a workspace: jobs made, changed, run, watched and cancelled, statements in chunks, and
errors of the types that its users catch. `PYTHON with_sdk.py URL`; a token stands in PINLAKE_TEST_TOKEN."""

import logging
import sys
import uuid
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "kinesis"))

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import BadRequest, DatabricksError, InvalidParameterValue, NotFound, ResourceDoesNotExist, Unauthenticated
from databricks.sdk.service.jobs import (
    CronSchedule,
    JobParameterDefinition,
    JobSettings,
    NotebookTask,
    PauseStatus,
    RunIf,
    RunLifeCycleState,
    RunResultState,
    RunType,
    SubmitTask,
    Task,
    TaskDependency,
)
from databricks.sdk.service.sql import ExecuteStatementRequestOnWaitTimeout, StatementParameterListItem, StatementState

from api import TOKEN
from checking import WAIT_S, Run, same, start, until
from gate import Gate

url = start()[0]
gate = Gate()
CLUSTER = "1108-162752-8okw8dgg"
WAREHOUSE = "w1"
WAIT = timedelta(seconds=WAIT_S)
# More bytes than an answer has in one chunk.
MANY = 400_000
VERSIONS = ("2.0", "2.1", "2.2")


def client(**login):
    # A call that fails for good must not be tried for minutes.
    return WorkspaceClient(config=Config(host=url, retry_timeout_seconds=20, **(login or {"token": TOKEN})))


w = client()


def refused(call, *args, **kwargs):
    """The error that a call raises."""
    try:
        answer = call(*args, **kwargs)
    except DatabricksError as error:
        return error
    raise AssertionError(f"it answers {answer}")


def raises(kind, call, *args, **kwargs):
    """That a call raises just this error, and what it says."""
    error = refused(call, *args, **kwargs)
    same(type(error).__name__, kind.__name__, str(error))
    return str(error)


def notebook(key, path, *after, **more):
    depends = [TaskDependency(task_key=other) for other in after]
    return {"task_key": key, "existing_cluster_id": CLUSTER, "notebook_task": NotebookTask(path, **more), "depends_on": depends}


def submitted(*tasks, **more):
    return w.jobs.submit(run_name="of the SDK", tasks=[SubmitTask(**task) for task in tasks], **more)


def made(name, *tasks, **more):
    return w.jobs.create(name=name, tasks=[Task(**task) for task in tasks], **more).job_id


def waiting():
    gate.shut()
    return notebook("wait", "/Shared/Waiting", base_parameters={"gate": gate.port})


def login():
    """A token as a token and as a password; no other, and none at all."""
    for known in (w, client(username="token", password=TOKEN)):
        same(bool(known.current_user.me().user_name), True, "who is logged in")
        same(len(known.clusters.spark_versions().versions) > 0, True, "versions")
    for login in ({"token": "another"}, {"token": f"{TOKEN} "[:-2]}, {"username": "token", "password": "another"}):
        raises(Unauthenticated, client(**login).current_user.me)
        raises(Unauthenticated, client(**login).jobs.get_run, 1)


def workspace():
    same([cluster.state.value for cluster in w.clusters.list()], ["RUNNING"], "clusters")
    same(w.clusters.get(CLUSTER).cluster_id, CLUSTER, "a cluster that a DAG names")
    (warehouse,) = w.warehouses.list()
    same((warehouse.id, w.warehouses.get(WAREHOUSE).state.value), (WAREHOUSE, "RUNNING"), "the warehouse")
    raises(ResourceDoesNotExist, w.warehouses.get, "w2")
    same(w.workspace.get_status("/Users/someone@example.com/Pinterest Batch").object_type.value, "NOTEBOOK", "a notebook")
    raises(ResourceDoesNotExist, w.workspace.get_status, "/Users/someone@example.com/Nobody Knows")


def submit():
    """Notebooks that wait for each other; each task has an output of its own."""
    tasks = [notebook("load", "/Shared/Load Data From S3"), notebook("pin", "/Shared/clean_pin", "load")]
    tasks += [notebook("geo", "/Shared/Clean Geo", "load"), notebook("ask", "/Shared/query data", "pin", "geo")]
    run = submitted(*tasks).result(WAIT)
    same((run.state.life_cycle_state, run.state.result_state), (RunLifeCycleState.TERMINATED, RunResultState.SUCCESS), "the run")
    same((run.run_name, run.run_type), ("of the SDK", RunType.SUBMIT_RUN), "what it is")
    same([task.task_key for task in run.tasks], ["load", "pin", "geo", "ask"], "tasks")
    same([[on.task_key for on in task.depends_on or []] for task in run.tasks], [[], ["load"], ["load"], ["pin", "geo"]], "who waits")
    same({task.existing_cluster_id for task in run.tasks}, {CLUSTER}, "the cluster as it was sent")
    same(all(run.start_time <= task.start_time <= task.end_time <= run.end_time for task in run.tasks), True, "times")
    for task in run.tasks:
        output = w.jobs.get_run_output(task.run_id)
        same((output.error, output.metadata.state.result_state), (None, RunResultState.SUCCESS), task.task_key)
    same("multiple tasks" in raises(InvalidParameterValue, w.jobs.get_run_output, run.run_id), True, "the output of several tasks")


def idempotency():
    """A token that was used answers with its run."""
    token = uuid.uuid4().hex
    runs = {submitted(notebook("a", "/Shared/query data"), idempotency_token=token).response.run_id for _ in range(3)}
    same(len(runs), 1, "runs of one token")
    job = w.jobs.run_now(next(w.jobs.list(name="query_data")).job_id, idempotency_token=f"{token}x").response.run_id
    same(job in runs, False, "another token's run")


def failing():
    """What failed says why, and what waited for it did not run."""
    run = submitted(notebook("bad", "/Shared/Failing"), notebook("next", "/Shared/query data", "bad"))
    error = refused_run(run)
    bad, following = w.jobs.get_run(run.response.run_id).tasks
    same(bad.state.result_state, RunResultState.FAILED, "the task that failed")
    same(following.state.result_state, RunResultState.UPSTREAM_FAILED, "the task behind it")
    output = w.jobs.get_run_output(bad.run_id)
    same("no_posts" in output.error, True, f"the reason: {output.error}, {error}")
    unknown = w.jobs.get_run(submitted(notebook("who", "/Users/someone@example.com/Nobody Knows")).response.run_id).run_id
    told = until("the run ends", lambda: ended(unknown))
    same(told.state.life_cycle_state, RunLifeCycleState.INTERNAL_ERROR, "a notebook that nobody knows")
    same('- { match: "/Users/someone@example.com/Nobody Knows", job:' in told.state.state_message, True, told.state.state_message)
    after = submitted(notebook("bad", "/Shared/Failing"), notebook("next", "/Shared/query data", "bad") | {"run_if": RunIf.ALL_DONE})
    refused_run(after)
    same(w.jobs.get_run(after.response.run_id).tasks[1].state.result_state, RunResultState.SUCCESS, "one that waits for any end")


def refused_run(run):
    """A run that ends, but not well; the SDK raises only for what could not begin."""
    return until("the run ends", lambda: ended(run.response.run_id)).state.state_message


def ended(run_id):
    run = w.jobs.get_run(run_id)
    return run if run.state.result_state else None


def jobs():
    """A job with a schedule in Quartz's form is made, read, changed in part, replaced, and deleted."""
    quartz = CronSchedule("0 30 6 ? * MON-FRI", "Europe/London", PauseStatus.PAUSED)
    name = f"sdk {uuid.uuid4().hex[:8]}"
    definition = {"name": "category", "default": "art"}
    parameters = [JobParameterDefinition(**definition)]
    job = made(name, notebook("ask", "/Shared/query data"), schedule=quartz, parameters=parameters, tags={"team": "data"})
    settings = w.jobs.get(job).settings
    same((settings.name, settings.schedule), (name, quartz), "what was made")
    same([parameter.as_dict() for parameter in settings.parameters], [definition], "parameters")
    same(settings.tasks[0].notebook_task.notebook_path, "/Shared/query data", "the notebook")
    same([found.job_id for found in w.jobs.list(name=name)], [job], "found by name")
    same(job in [found.job_id for found in w.jobs.list(limit=1)], True, "found page by page")

    w.jobs.update(job, new_settings=JobSettings(timeout_seconds=600), fields_to_remove=["schedule"])
    changed = w.jobs.get(job).settings
    same((changed.name, changed.timeout_seconds, changed.schedule), (name, 600, None), "changed in part")
    tasks = [Task(**notebook("clean", "/Shared/clean_pin"))]
    w.jobs.reset(job, JobSettings(name=f"{name} 2", tasks=tasks))
    replaced = w.jobs.get(job).settings
    same((replaced.name, [task.task_key for task in replaced.tasks]), (f"{name} 2", ["clean"]), "replaced")
    same(replaced.timeout_seconds or 0, 0, "what is replaced is gone")

    raises(InvalidParameterValue, made, name, notebook("a", "/Shared/query data"), schedule=CronSchedule("61 * * * * ?", "UTC"))
    raises(InvalidParameterValue, made, name, notebook("a", "/Shared/query data"), schedule=CronSchedule("0 0 6 * * ?", "No/Where"))
    raises(InvalidParameterValue, made, name, notebook("a", "/Shared/query data", "nobody"))
    w.jobs.delete(job)
    raises(ResourceDoesNotExist, w.jobs.get, job)
    raises(BadRequest if type(refused(w.jobs.delete, job)) is BadRequest else InvalidParameterValue, w.jobs.delete, job)


def run_now():
    """A job's runs are listed, their output is read, and one that failed is repaired."""
    job = made(f"sdk {uuid.uuid4().hex[:8]}", notebook("ask", "/Shared/query data"))
    runs = [w.jobs.run_now(job, notebook_params={"n": str(number)}).result(WAIT) for number in range(3)]
    same([run.state.result_state for run in runs], [RunResultState.SUCCESS] * 3, "how they ended")
    same({run.job_id for run in runs}, {job}, "the job")
    listed = [run.run_id for run in w.jobs.list_runs(job_id=job, limit=2)]
    same(listed, [run.run_id for run in reversed(runs)], "runs, the newest first, over pages")
    same([run.run_id for run in w.jobs.list_runs(job_id=job, active_only=True)], [], "runs that go on")
    same(w.jobs.get_run_output(runs[0].tasks[0].run_id).error, None, "an output")
    w.jobs.delete_run(runs[0].run_id)
    raises(ResourceDoesNotExist, w.jobs.get_run, runs[0].run_id)

    bad = made(f"sdk {uuid.uuid4().hex[:8]}", notebook("bad", "/Shared/Failing"))
    failed = until("the run ends", lambda run=w.jobs.run_now(bad).response.run_id: ended(run))
    same(failed.state.result_state, RunResultState.FAILED, "one that fails")
    w.jobs.repair_run(failed.run_id, rerun_all_failed_tasks=True)
    again = until("it ends again", lambda: ended(failed.run_id))
    same((again.state.result_state, again.tasks[0].attempt_number), (RunResultState.FAILED, 1), "repaired")
    for one in (job, bad):
        w.jobs.delete(one)


def cancel():
    """A run that goes on is cancelled, by its number and with all of its job's."""
    run = submitted(waiting()).response.run_id
    gate.until_arrived()
    same(w.jobs.get_run(run).state.life_cycle_state, RunLifeCycleState.RUNNING, "it goes on")
    same(w.jobs.get_run(run).state.result_state, None, "no result yet")
    same(w.jobs.cancel_run_and_wait(run, timeout=WAIT).state.result_state, RunResultState.CANCELED, "cancelled")
    w.jobs.cancel_run(run)

    job = made(f"sdk {uuid.uuid4().hex[:8]}", waiting())
    run = w.jobs.run_now(job).response.run_id
    gate.until_arrived()
    same([run.run_id for run in w.jobs.list_runs(job_id=job, active_only=True)], [run], "runs that go on")
    w.jobs.cancel_all_runs(job_id=job)
    same(until("the run ends", lambda: ended(run)).state.result_state, RunResultState.CANCELED, "cancelled with all")
    w.jobs.delete(job)
    gate.open()


def versions():
    """The three versions of the API give the same answers."""
    run = submitted(notebook("ask", "/Shared/query data")).result(WAIT)
    task, job = run.tasks[0].run_id, next(w.jobs.list(name="query_data")).job_id
    questions = [("jobs/list", {}), ("jobs/get", {"job_id": job}), ("jobs/runs/get", {"run_id": run.run_id})]
    questions += [("jobs/runs/get-output", {"run_id": task}), ("jobs/runs/list", {"limit": 2}), ("clusters/list", {})]
    for path, query in questions:
        answers = [w.api_client.do("GET", f"/api/{version}/{path}", query=query) for version in VERSIONS]
        same(answers[1:], answers[:1] * 2, path)
        # A GET may have its parameters in the body, which Airflow's triggerer makes use of.
        same(w.api_client.do("GET", f"/api/2.1/{path}", body=query), answers[0], f"{path} with a body")


def errors():
    for version in VERSIONS:
        raises(NotFound, w.api_client.do, "GET", f"/api/{version}/nothing/here")
    raises(ResourceDoesNotExist, w.jobs.get, 2**53)
    raises(ResourceDoesNotExist, w.jobs.get_run, 2**53)
    raises(InvalidParameterValue, w.jobs.cancel_run, 2**53)
    raises(InvalidParameterValue, w.jobs.run_now, 2**53)
    raises(InvalidParameterValue, w.api_client.do, "GET", "/api/2.1/jobs/runs/get")
    raises(InvalidParameterValue, w.api_client.do, "GET", "/api/2.1/jobs/runs/get", query={"run_id": "five"})
    same(type(refused(w.statement_execution.get_statement, str(uuid.uuid4()))).__mro__.__contains__(NotFound), True, "a statement")


def answered(statement, **more):
    return w.statement_execution.execute_statement(statement=statement, warehouse_id=WAREHOUSE, **more)


def statements():
    """A question of the tables, with parameters; and one that can't be answered."""
    answer = answered("SELECT count(*) AS posts, max(category) AS last FROM pin", wait_timeout="30s")
    same(answer.status.state, StatementState.SUCCEEDED, "state")
    columns = [(column.name, column.type_name.value) for column in answer.manifest.schema.columns]
    same(columns, [("posts", "LONG"), ("last", "STRING")], "columns")
    ((posts, last),) = answer.result.data_array
    same(int(posts) > 0 and isinstance(last, str), True, "all values are strings")
    given = {"text": ("it's -- :no", "STRING"), "number": ("7", "INT"), "day": ("2024-02-29", "DATE"), "none": (None, "STRING")}
    items = [StatementParameterListItem(name=name, value=value, type=kind) for name, (value, kind) in given.items()]
    asked = answered("SELECT :text AS a, :number + 1 AS b, :day AS c, :none AS d, ':text' AS e", parameters=items, wait_timeout="30s")
    same(asked.result.data_array if asked.result else asked.status, [["it's -- :no", "8", "2024-02-29", None, ":text"]], "parameters")
    failed = answered("SELECT no_such_column FROM pin", wait_timeout="30s")
    same((failed.status.state, "no_such_column" in failed.status.error.message), (StatementState.FAILED, True), str(failed.status))
    raises(InvalidParameterValue, answered, "SELECT 1", wait_timeout="3s")
    raises(ResourceDoesNotExist, w.statement_execution.execute_statement, statement="SELECT 1", warehouse_id="w2")


def chunks():
    """A long answer comes in chunks, each row once and in order."""
    sql = f"SELECT value, 'xxxxxxxxxxxxxxxxxxxx' AS filling FROM generate_series(1, {MANY}) ORDER BY value"
    begun = answered(sql, wait_timeout="0s")

    def done():
        told = w.statement_execution.get_statement(begun.statement_id)
        return told if told.status.state not in (StatementState.PENDING, StatementState.RUNNING) else None

    told = until("the statement ends", done)
    same(told.status.state, StatementState.SUCCEEDED, str(told.status))
    same((told.manifest.total_row_count, told.manifest.total_chunk_count > 1), (MANY, True), "rows, in chunks")
    rows, chunk = [], told.result
    while True:
        same(chunk.row_offset or 0, len(rows), "where the chunk begins")
        rows += [int(value) for value, _ in chunk.data_array]
        if chunk.next_chunk_index is None:
            break
        chunk = w.statement_execution.get_statement_result_chunk_n(begun.statement_id, chunk.next_chunk_index)
    same(rows == list(range(1, MANY + 1)), True, "each row once and in order")
    raises(InvalidParameterValue, w.statement_execution.get_statement_result_chunk_n, begun.statement_id, 10_000)


def cancelled_statement():
    endless = "SELECT count(*) FROM generate_series(1, 3000000) a(x), generate_series(1, 3000000) b(x) WHERE a.x % 7 = b.x % 5"
    begun = answered(endless, wait_timeout="0s")
    w.statement_execution.cancel_execution(begun.statement_id)
    state = until("it ends", lambda: w.statement_execution.get_statement(begun.statement_id).status.state != StatementState.RUNNING)
    same(state, True, "it ends")
    same(w.statement_execution.get_statement(begun.statement_id).status.state, StatementState.CANCELED, "cancelled")
    cut = answered(endless, wait_timeout="5s", on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CANCEL)
    same(cut.status.state, StatementState.CANCELED, "cancelled when the wait is over")


# The SDK tells on its log what it tries again.
logging.basicConfig(level=logging.ERROR)
run = Run()
for body in (login, workspace, submit, idempotency, failing, jobs, run_now, cancel, versions, errors, statements, chunks, cancelled_statement):
    run.check(body)
run.end()
