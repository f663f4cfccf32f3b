"""databricks-sql-connector reads questions over TLS, as its users have it with `use_sea`: `PYTHON with_sql_connector.py URL`. A token stands in
PINLAKE_TEST_TOKEN, the file of the server's certificate in REQUESTS_CA_BUNDLE."""

import os
import sys
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "kinesis"))

from databricks import sql
from databricks.sql.exc import Error

from api import TOKEN
from checking import Run, same, start

place = urllib.parse.urlsplit(start()[0])
QUESTIONS = Path(__file__).parents[2] / "pipelines/pinterest/questions"
# More bytes than an answer has in one chunk.
MANY = 400_000


def connected(token=TOKEN, **more):
    return sql.connect(
        server_hostname=place.hostname,
        _port=place.port,
        http_path="/sql/1.0/warehouses/w1",
        access_token=token,
        use_sea=True,
        _tls_trusted_ca_file=os.environ["REQUESTS_CA_BUNDLE"],
        enable_telemetry=False,
        **more,
    )


def reads_a_question():
    """Rows, their types, and a session that is closed in the end."""
    with connected() as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT category, count(*) AS posts FROM pin WHERE category IS NOT NULL GROUP BY category ORDER BY 2 DESC, 1")
            same([column[0] for column in cursor.description], ["category", "posts"], "columns")
            rows = cursor.fetchall()
            same(len(rows) > 1 and all(isinstance(row.category, str) and isinstance(row.posts, int) for row in rows), True, str(rows[:3]))
            same([row.posts for row in rows], sorted((row.posts for row in rows), reverse=True), "order")
        same(connection.open, True, "the session while it is open")
    same(connection.open, False, "the session when it is closed")


def reads_types():
    with connected() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CAST(7 AS BIGINT) AS a, 1.5 AS b, true AS c, CAST(NULL AS INT) AS d, DATE '2024-02-29' AS e, 'it''s' AS f")
        row = cursor.fetchone()
        same((row.a, float(row.b), row.c, row.d, str(row.e), row.f), (7, 1.5, True, None, "2024-02-29", "it's"), "values")
        same(cursor.fetchone(), None, "one row")


def binds_parameters():
    with connected() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT :text AS text, :number + 1 AS number", {"text": "it's -- :number", "number": 7})
        same(tuple(cursor.fetchone()), ("it's -- :number", 8), "parameters")


def reads_many_rows():
    with connected() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT value, 'xxxxxxxxxxxxxxxxxxxx' AS filling FROM generate_series(1, {MANY}) ORDER BY value")
        read = 0
        while rows := cursor.fetchmany(50_000):
            same([row.value for row in rows] == list(range(read + 1, read + len(rows) + 1)), True, f"rows behind {read}")
            read += len(rows)
        same(read, MANY, "rows")


def refused(body):
    try:
        body()
    except Error as error:
        return str(error)
    raise AssertionError("it is not refused")


def says_what_is_wrong():
    with connected() as connection, connection.cursor() as cursor:
        same("no_such_column" in refused(lambda: cursor.execute("SELECT no_such_column FROM pin")), True, "the reason")
        cursor.execute("SELECT 1 AS one")
        same(cursor.fetchone().one, 1, "the session goes on")


def tells_of_tables():
    with connected() as connection, connection.cursor() as cursor:
        cursor.tables()
        names = {row.tableName for row in cursor.fetchall()}
        same({"pin", "geo", "user"} <= names, True, f"tables: {names}")
        cursor.columns(catalog_name="pinlake", table_name="geo")
        columns = {row.col_name for row in cursor.fetchall()}
        same("country" in columns, True, f"columns: {columns}")


def wrong_token():
    same("another" in refused(lambda: connected(token="another")), False, "a token is not shown")


run = Run()
for body in (reads_a_question, reads_types, binds_parameters, reads_many_rows, says_what_is_wrong, tells_of_tables, wrong_token):
    run.check(body)
run.end()
