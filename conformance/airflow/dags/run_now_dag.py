"""A job that is there is started by its name and by its number, with parameters; then one is submitted in the form of several tasks."""

import os
from datetime import datetime

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator, DatabricksSubmitRunOperator

default_args = {"databricks_conn_id": "databricks_default", "polling_period_seconds": 1}
NOTEBOOKS = ("/Shared/Load Data From S3", "/Shared/clean_pin", "/Shared/query data")

with DAG("run_now_dag", start_date=datetime(2024, 1, 1), schedule=None, default_args=default_args) as dag:
    by_name = DatabricksRunNowOperator(task_id="by_name", job_name="query_data", notebook_params={"dry-run": "true"})
    by_number = DatabricksRunNowOperator(task_id="by_number", job_id=os.environ.get("JOB", "0"))
    tasks = [
        {
            "task_key": f"task_{number}",
            "existing_cluster_id": "1108-162752-8okw8dgg",
            "notebook_task": {"notebook_path": path},
            "depends_on": [{"task_key": f"task_{number - 1}"}] if number else [],
        }
        for number, path in enumerate(NOTEBOOKS)
    ]
    of_tasks = DatabricksSubmitRunOperator(task_id="of_tasks", tasks=tasks)
    by_name >> by_number >> of_tasks
