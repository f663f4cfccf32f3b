"""The one form of a result, and all results as Markdown. Measures nothing and computes nothing.

A result is `{date, load, cores, cpu, version, facts: {name: value}, rows: {name: {column: value}}}`, in a file of the step's name.
Units stand last in a name.
"""
import json
import subprocess

from machine import describe


class Result:
    """Facts and rows of one step. Made before the step begins, so that the machine's load is not the step's own."""

    def __init__(self, setup):
        version = subprocess.run([setup.pinlake, "--version"], check=True, capture_output=True, text=True).stdout.strip()
        self.folder = setup.results
        self.whole = {**describe(), "version": version, "facts": {}, "rows": {}}

    def fact(self, **facts):
        self.whole["facts"].update(facts)

    def row(self, name, columns):
        self.whole["rows"][name] = columns

    def save(self, name):
        """Writes the result and shows it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(self.whole, indent=1) + "\n")
        print(markdown(path), flush=True)


def table(folder):
    """All results of a folder as Markdown."""
    return "\n".join(markdown(path) for path in sorted(folder.glob("*.json")))


def markdown(path):
    one = json.loads(path.read_text())
    about = [one["date"], one.get("version"), f"{one['cores']} cores", one.get("cpu"), f"load {one['load']:.2f}"]
    lines = [f"## {path.stem}", "", ", ".join(part for part in about if part), ""]
    lines += [f"- {name}: {shown(value)}" for name, value in one["facts"].items()]
    if one["rows"]:
        columns = list(dict.fromkeys(column for row in one["rows"].values() for column in row))
        lines += ["", "| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
        lines += ["| " + " | ".join([name, *(shown(row.get(column, "")) for column in columns)]) + " |"
                  for name, row in one["rows"].items()]
    return "\n".join(lines) + "\n"


def shown(value):
    if isinstance(value, bool) or isinstance(value, str):
        return str(value)
    return f"{value:,}"
