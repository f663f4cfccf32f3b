"""A statement that can't be answered: the task's log has to say why."""

from datetime import datetime

from airflow import DAG
from airflow.providers.databricks.operators.databricks import DatabricksSQLStatementsOperator

with DAG("wrong_statement_dag", start_date=datetime(2024, 1, 1), schedule=None) as dag:
    DatabricksSQLStatementsOperator(
        task_id="wrong",
        databricks_conn_id="databricks_default",
        warehouse_id="w1",
        statement="SELECT no_such_column FROM pin",
        polling_period_seconds=1,
    )
