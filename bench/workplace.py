"""What a step works with: the binary, the load generator, lakes and pins. Makes what is missing."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from machine import GIB, need_disk

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent


class Setup:
    """The paths and options of one invocation."""

    def __init__(self, args):
        self.args = args
        self.results = Path(args.results).absolute()
        self.work = Path(args.work).absolute()
        self.work.mkdir(parents=True, exist_ok=True)
        self.pinlake = Path(args.pinlake).absolute()
        if not self.pinlake.is_file():
            sys.exit(f"no binary at {self.pinlake}: build it with 'cargo build --release' or name it with --pinlake")
        self.load_program = Path(args.load).absolute()
        if not self.load_program.is_file():
            sys.exit(f"no load generator at {self.load_program}: build it with 'cargo build --release -p pinlake-load' or name it with --load")

    def lake(self, posts):
        """A raw lake from `pinlake generate`; kept for the next run."""
        lake = self.work / f"lake-{posts}"
        if not lake.is_dir():
            need_disk(self.work, posts * 1000 / GIB)
            self.generate(lake, posts)
        return lake

    def pins(self, count=100_000):
        """A file of so many different pins, one JSON object a line, and their mean length; kept for the next run."""
        lines = self.work / f"pins-{count}.jsonl"
        if not lines.is_file():
            lake, made = self.work / "pins-lake", lines.with_suffix(".part")
            self.generate(lake, count, "--duplicates", "0")
            with made.open("wb") as out:
                for part in sorted(lake.glob("topics/*.pin/partition=*/*.json")):
                    out.write(part.read_bytes())
            shutil.rmtree(lake)
            made.rename(lines)
        return lines, lines.stat().st_size // count - 1

    def generate(self, lake, posts, *options):
        made = lake.with_suffix(".part")
        shutil.rmtree(made, ignore_errors=True)
        command = [self.pinlake, "generate", made, "--posts", str(posts), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
        made.rename(lake)


def environment(**options):
    """The caller's environment without settings of Pinlake, but with these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PINLAKE_")}
    return {**clean, "RUST_LOG": "warn", "NO_COLOR": "1", **options}
