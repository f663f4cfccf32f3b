"""Reads Delta tables with readers that know nothing of Pinlake, and says what each saw.

    readers.py LAKE ANSWERS

LAKE is the folder that holds the tables. ANSWERS is a JSON file: a table's path in LAKE -> {"columns": [...], "rows": [...]}
as Pinlake's SQL answered, times as microseconds. Prints a JSON object: the path -> the reader ("sql" is what ANSWERS says) ->
{"columns", "rows", "digest"}. Where a reader differs, standard error shows the first rows that do.
"""

import base64
import hashlib
import json
import pathlib
import sys

import deltalake
import duckdb
import duckdb_extension_delta
import polars
import pyarrow


def with_deltalake(url):
    table = pyarrow.table(deltalake.DeltaTable(url).to_pyarrow_table())
    columns = []
    for column in table.columns:
        if pyarrow.types.is_timestamp(column.type):
            column = column.cast(pyarrow.timestamp("us", column.type.tz)).cast(pyarrow.int64())
        columns.append(column.to_pylist())
    return table.column_names, list(zip(*columns))


def with_polars(url):
    table = polars.read_delta(url)
    table = table.with_columns(polars.selectors.datetime().dt.epoch("us"))
    return table.columns, table.rows()


def with_duckdb(url):
    connection = duckdb.connect()
    folder = pathlib.Path(duckdb_extension_delta.__file__).parent
    connection.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/delta.duckdb_extension'")
    table = connection.sql(f"SELECT * FROM delta_scan('{url}')")
    is_time = [str(kind).startswith("TIMESTAMP") for kind in table.types]
    selected = [f'epoch_us("{name}")' if time else f'"{name}"' for name, time in zip(table.columns, is_time)]
    return table.columns, table.project(", ".join(selected)).fetchall()


def shown(value):
    """Bytes as Pinlake's API shows them: text as it is, others in base64."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def lines_of(rows):
    """The rows as sorted JSON lines: the same values give the same lines, whoever read them."""
    return sorted(json.dumps(list(row), ensure_ascii=False, default=shown) for row in rows)


def seen(columns, lines):
    digest = hashlib.sha256("\n".join(lines).encode())
    return {"columns": list(columns), "rows": len(lines), "digest": digest.hexdigest()}


def show_difference(what, ours, theirs):
    for which, only in (("missing", set(ours) - set(theirs)), ("too many", set(theirs) - set(ours))):
        for line in sorted(only)[:3]:
            print(f"{what}: {which}: {line}", file=sys.stderr)


def main(lake, answers):
    readers = {"deltalake": with_deltalake, "polars": with_polars, "duckdb": with_duckdb}
    report = {}
    for path, answer in json.loads(pathlib.Path(answers).read_text(encoding="utf-8")).items():
        expected = lines_of(answer["rows"])
        report[path] = {"sql": seen(answer["columns"], expected)}
        for name, read in readers.items():
            columns, rows = read(f"{lake}/{path}")
            lines = lines_of(rows)
            report[path][name] = seen(columns, lines)
            show_difference(f"{path} by {name}", expected, lines)
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
