"""A notebook that fails while the triggerer waits for it."""

from datetime import datetime

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator

with DAG("failing_deferrable_dag", start_date=datetime(2024, 1, 1), schedule="@daily", catchup=False) as dag:
    DatabricksSubmitRunOperator(
        task_id="submit_run",
        databricks_conn_id="databricks_default",
        existing_cluster_id="1108-162752-8okw8dgg",
        notebook_task={"notebook_path": "/Users/someone@example.com/Failing"},
        polling_period_seconds=1,
        deferrable=True,
    )
