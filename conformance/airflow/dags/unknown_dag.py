"""A notebook that stands for no job: the task's log has to say which line to add."""

from datetime import datetime

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator

with DAG("unknown_dag", start_date=datetime(2024, 1, 1), schedule="@daily", catchup=False) as dag:
    DatabricksSubmitRunOperator(
        task_id="submit_run",
        databricks_conn_id="databricks_default",
        existing_cluster_id="1108-162752-8okw8dgg",
        notebook_task={"notebook_path": "/Users/someone@example.com/Nobody Knows"},
        polling_period_seconds=1,
    )
