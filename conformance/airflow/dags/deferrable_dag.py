"""A notebook that a task hands over to Airflow's triggerer, which asks for the run in a way of its own: a GET with a body."""

import os
from datetime import datetime

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator, DatabricksSubmitRunOperator

default_args = {"databricks_conn_id": "databricks_default", "polling_period_seconds": 1, "deferrable": True}

with DAG("deferrable_dag", start_date=datetime(2024, 1, 1), schedule=None, default_args=default_args) as dag:
    # It runs until its gate is open, so that the task is handed over before the run ends.
    submitted = DatabricksSubmitRunOperator(
        task_id="submitted",
        existing_cluster_id="1108-162752-8okw8dgg",
        notebook_task={"notebook_path": "/Shared/Waiting", "base_parameters": {"gate": os.environ.get("GATE", "")}},
    )
    by_name = DatabricksRunNowOperator(task_id="by_name", job_name="query_data")
    submitted >> by_name
