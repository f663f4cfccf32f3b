"""Cleans raw lakes and answers the ten questions in a way that shares nothing with Pinlake: records in plain Python, questions
in Polars.

    peers.py RAW OUT [RAW OUT ...]

RAW holds topics/<topic>/partition=<n>/*.json[.gz]; OUT is what `pinlake batch RAW OUT` wrote. Prints a JSON array, one object a
pair: "answers", the text that OUT/answers.json must have; "tables": table -> "computed" and "written" (what deltalake reads in
OUT), each {"columns", "rows", "digest"}; "refused": table -> how many records are no row.
"""

import base64
import datetime
import decimal
import gzip
import json
import pathlib
import re
import sys

import polars as pl

import readers

COLUMNS = {
    "pin": ["ind", "unique_id", "title", "description", "follower_count", "poster_name", "tag_list", "is_image_or_video",
            "image_src", "save_location", "category"],
    "geo": ["ind", "country", "coordinates", "timestamp"],
    "user": ["ind", "user_name", "age", "date_joined"],
}
UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}


def lines_in_order(raw, table):
    def place(path):
        topic, partition, start = re.fullmatch(r"(.+)\+(\d+)\+(\d+)\.json(?:\.gz)?", path.name).groups()
        return topic, int(partition), int(start)

    for path in sorted(raw.glob(f"topics/*.{table}/partition=*/*.json*"), key=place):
        opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
        with opened as lines:
            yield from lines


def record_of(line):
    """The JSON object of a line; as a string of JSON or base64 it may be wrapped up to three deep."""
    value = json.loads(line)
    for _ in range(3):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = json.loads(base64.b64decode(value, validate=True))
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def key_of(record):
    return record["index"] if record.get("index") is not None else record["ind"]


def text(value, *nothing):
    return None if value in (None, "", *nothing) else value


def followers(value):
    value = text(value, "User Info Error")
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kKMB]?)", value)
    if found is None:
        raise ValueError("no number of followers")
    number = decimal.Decimal(found[1]) * UNITS[found[2]]
    if number != int(number):
        raise ValueError("a fraction of a follower")
    return int(number)


def microseconds(value):
    if value is None:
        return None
    time = datetime.datetime.strptime(value.replace("T", " "), "%Y-%m-%d %H:%M:%S")
    return int((time - datetime.datetime(1970, 1, 1)).total_seconds()) * 1_000_000


def clean_pin(record):
    description = text(record.get("description"), "Untitled")
    location = text(record.get("save_location"))
    return (
        key_of(record),
        record.get("unique_id"),
        text(record.get("title"), "No Title Data Available", "Untitled"),
        None if description is None or description.startswith("No description available") else description,
        followers(record.get("follower_count")),
        text(record.get("poster_name"), "User Info Error"),
        text(record.get("tag_list"), "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"),
        text(record.get("is_image_or_video")),
        text(record.get("image_src"), "Image src error."),
        None if location is None else location.removeprefix("Local save in "),
        text(record.get("category")),
    )


def clean_geo(record):
    place = [float(record["latitude"]), float(record["longitude"])]
    return key_of(record), record.get("country"), place, microseconds(record.get("timestamp"))


def clean_user(record):
    name = f"{record['first_name']} {record['last_name']}"
    return key_of(record), name, int(record["age"]), microseconds(record.get("date_joined"))


def cleaned(raw, table, clean):
    """The rows, the first of each key, and how many records are none."""
    rows, refused = {}, 0
    for line in lines_in_order(raw, table):
        try:
            row = clean(record_of(line))
        except (ValueError, KeyError):
            refused += 1
            continue
        rows.setdefault(row[0], row)
    return list(rows.values()), refused


def leading(frame, by, measure):
    """The rows with the most of `measure` in each group; all of them where several have it."""
    most = pl.col(measure).max()
    return frame.filter(pl.col(measure) == (most.over(by) if by else most))


def in_years(column, first, last):
    return pl.col(column).dt.year().is_between(first, last)


def answers_of(rows):
    types = {"follower_count": pl.Int64, "coordinates": pl.List(pl.Float64), "age": pl.Int64}
    types |= {"ind": pl.Int64, "timestamp": pl.Datetime("us"), "date_joined": pl.Datetime("us")}

    def frame(table):
        schema = {name: types.get(name, pl.String) for name in COLUMNS[table]}
        raw = {name: pl.Int64 if kind == pl.Datetime("us") else kind for name, kind in schema.items()}
        return pl.DataFrame(rows[table], schema=raw, orient="row").cast(schema)

    pin, geo, user = frame("pin"), frame("geo"), frame("user")
    user = user.with_columns(
        join_year=pl.col("date_joined").dt.year().cast(pl.Int64),
        age_group=pl.when(pl.col("age").is_between(18, 24)).then(pl.lit("18-24"))
        .when(pl.col("age").is_between(25, 35)).then(pl.lit("25-35"))
        .when(pl.col("age").is_between(36, 50)).then(pl.lit("36-50"))
        .when(pl.col("age") > 50).then(pl.lit("+50")),
    )
    placed = pin.join(geo, on="ind").with_columns(post_year=pl.col("timestamp").dt.year().cast(pl.Int64))
    owned = pin.join(user, on="ind")
    grouped = owned.filter(pl.col("age_group").is_not_null())
    joined = in_years("date_joined", 2015, 2020)

    def categories(posts, by):
        counted = posts.filter(pl.col("category").is_not_null()).group_by(by, "category").len("category_count")
        return counted.select(by, "category", pl.col("category_count").cast(pl.Int64))

    def medians(posts, *by):
        known = posts.filter(pl.col("follower_count").is_not_null())
        return known.group_by(*by).agg(median_follower_count=pl.col("follower_count").median())

    by_country, by_year = categories(placed, "country"), categories(placed.filter(in_years("timestamp", 2018, 2022)), "post_year")
    known = placed.filter(pl.col("poster_name").is_not_null() & pl.col("follower_count").is_not_null())
    posters = known.select("country", "poster_name", "follower_count").unique()
    people = user.unique(["user_name", "age", "date_joined"]).filter(joined)
    return {
        "popular_category_by_country": leading(by_country, "country", "category_count"),
        "posts_by_category_and_year": by_year,
        "popular_category_by_year": leading(by_year, "post_year", "category_count"),
        "top_user_by_country": leading(posters, "country", "follower_count"),
        "country_of_top_user": leading(posters, None, "follower_count").select("country", "follower_count").unique(),
        "popular_category_by_age_group": leading(categories(grouped, "age_group"), "age_group", "category_count"),
        "median_followers_by_age_group": medians(grouped, "age_group"),
        "users_joined_by_year": people.group_by("join_year").len("number_users_joined"),
        "median_followers_by_join_year": medians(owned.filter(joined), "join_year"),
        "median_followers_by_join_year_and_age_group": medians(grouped.filter(joined), "join_year", "age_group"),
    }


def document(answers):
    def whole(value):
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def one(name, frame):
        rows = sorted(([whole(value) for value in row] for row in frame.rows()), key=lambda row: [str(value) for value in row])
        rows = [dict(zip(frame.columns, row)) for row in rows]
        lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
        return f'"{name}":[\n' + ",\n".join(lines) + "\n]"

    return "{\n" + ",\n".join(one(name, frame) for name, frame in answers.items()) + "\n}\n"


def lake(raw, out):
    tables, refused, rows = {}, {}, {}
    for table, clean in (("pin", clean_pin), ("geo", clean_geo), ("user", clean_user)):
        rows[table], refused[table] = cleaned(pathlib.Path(raw), table, clean)
        columns, found = readers.with_deltalake(f"{out}/{table}")
        computed, written = readers.lines_of(rows[table]), readers.lines_of(found)
        readers.show_difference(f"{out}/{table}", computed, written)
        tables[table] = {"computed": readers.seen(COLUMNS[table], computed), "written": readers.seen(columns, written)}
    return {"answers": document(answers_of(rows)), "tables": tables, "refused": refused}


if __name__ == "__main__":
    print(json.dumps([lake(raw, out) for raw, out in zip(sys.argv[1::2], sys.argv[2::2], strict=True)]))
