"""Five notebooks: what is loaded is cleaned in three, and then asked. Their paths are written in the ways that people copy them."""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator

default_args = {
    "owner": "0c5f7a91e2b4",
    "retries": 1,
    "retry_delay": timedelta(minutes=1),
    "databricks_conn_id": "databricks_default",
    "existing_cluster_id": "1108-162752-8okw8dgg",
    "polling_period_seconds": 1,
}


def notebook(task_id, path):
    return DatabricksSubmitRunOperator(task_id=task_id, notebook_task={"notebook_path": path})


with DAG("fan_out_dag", start_date=datetime(2024, 1, 1), schedule="0 6 * * *", catchup=False, default_args=default_args) as dag:
    load = notebook("load_data", "/Users/someone@example.com/Load Data From S3")
    clean = [
        notebook("clean_pin", "/Workspace/Users/someone@example.com/clean_pin.ipynb"),
        notebook("clean_geo", "Repos/someone@example.com/pipeline/Clean Geo"),
        notebook("clean_user", "/Repos/someone@example.com/pipeline/clean-user.py"),
    ]
    query = notebook("query_data", "https://example.cloud.databricks.com/?o=1865928197306450#notebook/Users/someone@example.com/query data")
    load >> clean >> query
