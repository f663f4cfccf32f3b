"""The daily DAG as Airflow 2 has it, with nothing changed for Pinlake: one notebook on a cluster that is there, and the operator's own pause
of 30 seconds between two looks."""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator

notebook_task = {
    "notebook_path": "/Users/someone@example.com/Pinterest Batch",
}

default_args = {
    "owner": "0c5f7a91e2b4",
    "depends_on_past": False,
    "retries": 2,
    "retry_delay": timedelta(minutes=2),
}

with DAG(
    "0c5f7a91e2b4_dag",
    start_date=datetime(2024, 1, 1),
    schedule_interval="@daily",
    catchup=False,
    default_args=default_args,
) as dag:
    opr_submit_run = DatabricksSubmitRunOperator(
        task_id="submit_run",
        databricks_conn_id="databricks_default",
        existing_cluster_id="1108-162752-8okw8dgg",
        notebook_task=notebook_task,
    )
    opr_submit_run
