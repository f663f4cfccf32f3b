"""SQL statements on the one warehouse, waited for by the task and by the triggerer."""

from datetime import datetime

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksSQLStatementsOperator

COUNT = "SELECT category, count(*) AS posts FROM pin WHERE follower_count >= :least GROUP BY category ORDER BY posts DESC"
default_args = {"databricks_conn_id": "databricks_default", "warehouse_id": "w1", "polling_period_seconds": 1}

with DAG("statements_dag", start_date=datetime(2024, 1, 1), schedule=None, default_args=default_args) as dag:
    waited = DatabricksSQLStatementsOperator(
        task_id="waited", statement=COUNT, parameters=[{"name": "least", "value": "0", "type": "INT"}]
    )
    deferred = DatabricksSQLStatementsOperator(task_id="deferred", statement="SELECT count(*) FROM geo", deferrable=True)
    waited >> deferred
