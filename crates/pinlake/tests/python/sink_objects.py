"""Reads Parquet files with DuckDB and with Polars, and prints the rows of each file as JSON: {"duckdb": [[row]], "polars": [[row]]}."""

import json
import sys

import duckdb
import polars


def by_duckdb(path):
    found = duckdb.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [path])
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def by_polars(path):
    return polars.read_parquet(path, hive_partitioning=False).to_dicts()


files = sys.argv[1:]
json.dump({"duckdb": [by_duckdb(path) for path in files], "polars": [by_polars(path) for path in files]}, sys.stdout)
