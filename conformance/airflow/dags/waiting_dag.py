"""A notebook that runs until somebody opens its gate: what happens meanwhile is up to the test."""

import os
from datetime import datetime

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator

with DAG("waiting_dag", start_date=datetime(2024, 1, 1), schedule=None) as dag:
    DatabricksSubmitRunOperator(
        task_id="submit_run",
        databricks_conn_id="databricks_default",
        existing_cluster_id="1108-162752-8okw8dgg",
        notebook_task={"notebook_path": "/Shared/Waiting", "base_parameters": {"gate": os.environ.get("GATE", "")}},
        polling_period_seconds=1,
        # A server that starts again is away for as long as it takes, not for the operator's usual three seconds.
        databricks_retry_limit=8,
    )
