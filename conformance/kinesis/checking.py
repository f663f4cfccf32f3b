"""What the scripts of this folder share: checks that are counted, waiting with a bound, and asking the test that runs them for a restart.

A script is `SCRIPT URL [MORE]`. Each check prints `ok NAME` or `FAIL NAME why`; the last line counts them. A script that wants the server
restarted prints `restart TERM` or `restart KILL` and reads the server's URL, which may be a new one, from its standard input.
"""

import faulthandler
import sys
import time
import traceback

# How long anything may take: far more than it needs, so that a hang has a name.
WAIT_S = 120
# How long a whole run may take.
RUN_S = 500


def until(what, probe, pause_s=0.02):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + WAIT_S
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"not within {WAIT_S} s: {what}")
        time.sleep(pause_s)


def same(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: {str(found)[:600]} is not {str(expected)[:600]}")


def restart(how):
    """Has the server ended by a signal, TERM or KILL, and started again on its data. Returns its URL."""
    print(f"restart {how}", flush=True)
    url = sys.stdin.readline().strip()
    if not url:
        raise RuntimeError("nobody restarts the server: let the tests run this script")
    return url


class Run:
    """Counts checks."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, body, *args):
        name = " ".join([body.__name__, *(str(arg) for arg in args)])
        began = time.monotonic()
        try:
            body(*args)
        except Exception as error:
            self.failed += 1
            place = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAIL {name} {why} ({' '.join(place[-5:])})", flush=True)
        else:
            self.passed += 1
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed else 0)


def start(run_s=RUN_S):
    """The arguments of the script. A call that never comes back can't be waited for: then the run says where it hangs and ends."""
    faulthandler.dump_traceback_later(run_s, exit=True)
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} URL")
    return sys.argv[1:]
