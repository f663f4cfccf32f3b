"""What every Python client of Kafka must be able to do with a broker, written once.

A client's script hands `main` a class with the methods of `Client`; how the client does it is its own affair. Nothing here
knows a client or a broker. Each check prints `ok NAME` or `FAIL NAME why`; the last line counts them.
"""

import faulthandler
import os
import queue
import re
import secrets
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from dataclasses import dataclass

# How long anything may take that is not itself measured: far more than it needs, so that a hang has a name.
WAIT_S = 120
# How long the whole run may take.
RUN_S = 500
# A new group that has one member must have its partitions within this time.
FIRST_ASSIGNMENT_S = float(os.environ.get("FIRST_ASSIGNMENT_S", 3))
# The topic of the partitioner's keys has this many partitions for all clients.
PARTITIONS = 7
# Keys of all lengths, with bytes above 127: one partition each, the same from every client.
KEYS = [("x" * i + f"é{i}").encode() for i in range(20)]


@dataclass(frozen=True)
class Record:
    """A record as it is sent and as it is read back."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Client:
    """What a client's script implements. Offsets of a topic are {partition: offset}; every call waits until it is done."""

    # What the client can compress with; None is no compression.
    codecs = [None, "gzip", "snappy", "lz4", "zstd"]
    # Whether it can send a header without a value.
    null_headers = True

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def close_producers(self):
        """A producer that still knows a topic may ask for it again, and so make it again."""
        raise NotImplementedError

    def create_topic(self, topic, partitions):
        raise NotImplementedError

    def partition_count(self, topic):
        """0 where there is no such topic, which must not be made by asking."""
        raise NotImplementedError

    def delete_topic(self, topic):
        raise NotImplementedError

    def produce(self, topic, records, codec=None, partition=None):
        """[(partition, offset)] in the order of the records."""
        raise NotImplementedError

    def read(self, topic, ends, read_committed=False):
        """{partition: [Record]} from the beginning until the consumer's position has reached `ends`."""
        raise NotImplementedError

    def ends(self, topic, read_committed=False):
        """The next offset to be given out; to readers of committed records, the first one that an open transaction holds back."""
        raise NotImplementedError

    def offsets_at(self, topic, time_ms):
        """The first offset at or after the time; None for a partition without one."""
        raise NotImplementedError

    def join(self, group, topic):
        """A `Member`, polling in the background."""
        raise NotImplementedError

    def committed(self, group, topic):
        raise NotImplementedError

    def groups(self):
        raise NotImplementedError

    def describe_group(self, group):
        """(state in lower case, [set of partitions of each member])."""
        raise NotImplementedError

    # Where a client has no such call, its script leaves the method out and the check is not made:
    # delete_group(group); create_partitions(topic, total); topic_config(topic, name); set_topic_config(topic, name, value);
    # delete_records(topic, {partition: first offset that stays});
    # transaction(id) -> a `Transaction`.


class Member:
    """A member of a group. Reads in the background from its assignment on, from the beginning where nothing is committed.

    One thread of its own makes all calls to the consumer: no client here lets two use one.
    """

    def __init__(self):
        self.places, self.assigned = set(), frozenset()
        self.leaving, self.calls = threading.Event(), queue.Queue()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def open(self):
        """Makes the consumer and subscribes."""
        raise NotImplementedError

    def poll(self):
        """Waits a moment for records, notes what came in `places` and its partitions in `assigned`."""
        raise NotImplementedError

    def commit_now(self, offsets):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError

    def run(self):
        self.open()
        while not self.leaving.is_set():
            self.poll()
            while not self.calls.empty():
                done, call = self.calls.get()
                try:
                    done.set_result(call())
                except Exception as error:
                    done.set_exception(error)
        self.close()

    def assignment(self):
        return self.assigned

    def seen(self):
        """{(partition, offset)} of all it was given so far."""
        return set(self.places)

    def commit(self, offsets):
        done = Future()
        self.calls.put((done, lambda: self.commit_now(offsets)))
        done.result(WAIT_S)

    def leave(self):
        self.leaving.set()
        self.thread.join(WAIT_S)
        if self.thread.is_alive():
            raise TimeoutError(f"not within {WAIT_S} s: the member leaves")


class Transaction:
    """A producer with an id of its own. `init` fences older ones."""

    def init(self):
        raise NotImplementedError

    def begin(self):
        raise NotImplementedError

    def send(self, topic, records):
        """Waits until they are acknowledged."""
        raise NotImplementedError

    def send_offsets(self, group, topic, offsets):
        raise NotImplementedError

    def commit(self):
        raise NotImplementedError

    def abort(self):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError


def until(what, probe, pause_s=0.02):
    """Asks until the answer is true, and returns it; a probe that waits by itself needs no pause."""
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
        raise AssertionError(f"{what}: {str(found)[:400]} is not {str(expected)[:400]}")


def records(client, count, tag):
    """Five records on the edges, then plain ones."""
    every_byte = bytes(range(256))
    null = [("null", None)] if client.null_headers else []
    edges = [
        Record(None, f"{tag} no key".encode()),
        Record(f"{tag} no value".encode(), None),
        Record(b"", b""),
        Record(every_byte, every_byte * 40, (("all", every_byte), ("empty", b""), *null)),
        Record("ключ".encode(), "значение \U0001f600".encode(), (("twice", b"1"), ("twice", b"2"), ("имя", b"3"))),
    ]
    plain = [Record(f"{tag}-{i}".encode(), f"{tag} value {i} ".encode() * 20, (("n", str(i).encode()),)) for i in range(count)]
    return edges + plain


class Run:
    """One run of all checks with one client, on topics and groups whose names begin with `name`."""

    def __init__(self, client, name):
        self.client, self.name = client, name
        self.passed = self.failed = 0
        self.topics = []

    def check(self, name, body):
        try:
            body()
        except Exception as error:
            self.failed += 1
            place = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAIL {name} {why} ({' '.join(place[-4:])})", flush=True)
        else:
            self.passed += 1
            print(f"ok {name}", flush=True)

    def topic(self, suffix, partitions):
        topic = f"{self.name}-{suffix}"
        self.client.create_topic(topic, partitions)
        self.topics.append(topic)
        until(f"{topic} has {partitions} partitions", lambda: self.client.partition_count(topic) == partitions)
        return topic

    def records(self, count, tag):
        return records(self.client, count, tag)

    def all(self):
        self.check("create_topic", self.create_topic)
        for codec in self.client.codecs:
            self.check(f"round_trip_{codec or 'plain'}", lambda codec=codec: self.round_trip(codec))
        self.check("round_trip_large", self.large)
        self.check("partitioner", self.partitioner)
        self.check("offsets_by_time", self.offsets_by_time)
        if hasattr(self.client, "set_topic_config"):
            self.check("topic_config", self.topic_config)
        if hasattr(self.client, "create_partitions"):
            self.check("create_partitions", self.create_partitions)
        if hasattr(self.client, "delete_records"):
            self.check("delete_records", self.delete_records)
        self.check("group_rebalance", self.group_rebalance)
        self.check("group_resume", self.group_resume)
        if hasattr(self.client, "transaction"):
            self.check("transaction_commit", self.transaction_commit)
            self.check("transaction_abort", self.transaction_abort)
            self.check("transaction_offsets", self.transaction_offsets)
            self.check("transaction_fencing", self.transaction_fencing)
        self.client.close_producers()
        self.check("delete_topic", self.delete_topic)

    def create_topic(self):
        absent = f"{self.name}-absent"
        same(self.client.partition_count(absent), 0, "partitions of a topic that nobody made")
        self.topic("made", 3)
        same(self.client.partition_count(absent), 0, "partitions of a topic that was only asked for")

    def round_trip(self, codec):
        topic = self.topic(f"round-trip-{codec or 'plain'}", 2)
        sent = {0: self.records(200, "a"), 1: self.records(30, "b")}
        for partition, batch in sent.items():
            places = self.client.produce(topic, batch, codec, partition)
            same(places, [(partition, offset) for offset in range(len(batch))], "where the records went")
        ends = {partition: len(batch) for partition, batch in sent.items()}
        same(self.client.ends(topic), ends, "ends")
        same(self.client.read(topic, ends), sent, "records")

    def large(self):
        topic = self.topic("large", 1)
        # As large as clients send by default; nothing in it repeats, so that no codec could make it small.
        sent = [Record(b"large", secrets.token_bytes(900_000)), Record(b"after", b"small")]
        self.client.produce(topic, sent)
        same(self.client.read(topic, {0: 2}), {0: sent}, "records")

    def partitioner(self):
        topic = self.topic("keys", PARTITIONS)
        places = self.client.produce(topic, [Record(key, key) for key in KEYS])
        print("partitions:", *(partition for partition, _ in places), flush=True)
        found = self.client.read(topic, self.client.ends(topic))
        read = {record.key: partition for partition, held in found.items() for record in held}
        same([read.get(key) for key in KEYS], [partition for partition, _ in places], "partitions as read")

    def offsets_by_time(self):
        topic = self.topic("times", 1)
        self.client.produce(topic, self.records(3, "t"))
        far = int(time.time() * 1000) + 3_600_000
        same(self.client.offsets_at(topic, 0), {0: 0}, "the offset at the beginning of time")
        same(self.client.offsets_at(topic, far), {0: None}, "the offset in an hour")

    def topic_config(self):
        topic = self.topic("config", 1)
        self.client.set_topic_config(topic, "retention.ms", "86400000")
        until("the topic has the new retention", lambda: self.client.topic_config(topic, "retention.ms") == "86400000")

    def create_partitions(self):
        topic = self.topic("grows", 1)
        self.client.create_partitions(topic, 3)
        until("the topic has three partitions", lambda: self.client.partition_count(topic) == 3)
        same(self.client.produce(topic, self.records(0, "g")[:1], partition=2), [(2, 0)], "where the record went")

    def delete_records(self):
        topic = self.topic("cut", 1)
        sent = self.records(20, "c")
        self.client.produce(topic, sent)
        self.client.delete_records(topic, {0: 10})
        same(self.client.read(topic, {0: len(sent)}), {0: sent[10:]}, "records")

    def group_rebalance(self):
        topic, group = self.topic("group", 4), f"{self.name}-group"
        everything = {(p, o) for p in range(4) for p, o in self.client.produce(topic, self.records(20, f"p{p}"), partition=p)}
        members = []
        try:
            began = time.monotonic()
            first = self.client.join(group, topic)
            members.append(first)
            until("the first member has all partitions", lambda: first.assignment() == {0, 1, 2, 3})
            took = time.monotonic() - began
            if took > FIRST_ASSIGNMENT_S:
                raise TimeoutError(f"the first assignment took {took:.1f} s, allowed are {FIRST_ASSIGNMENT_S}")
            second = self.client.join(group, topic)
            members.append(second)
            until("the members share the partitions", lambda: shared(first, second))
            state, shares = self.client.describe_group(group)
            same(state, "stable", "state of the group")
            same(sorted(map(sorted, shares)), sorted([sorted(first.assignment()), sorted(second.assignment())]), "shares")
            members.remove(first)
            first.leave()
            until("the second member has all partitions", lambda: second.assignment() == {0, 1, 2, 3})
            until("the members were given every record", lambda: first.seen() | second.seen() == everything)
        finally:
            for member in members:
                member.leave()
        until("the group is empty", lambda: self.client.describe_group(group) == ("empty", []))

    def group_resume(self):
        topic, group = self.topic("resume", 2), f"{self.name}-resume"
        for partition in (0, 1):
            self.client.produce(topic, self.records(20, f"r{partition}"), partition=partition)
        ends = {0: 25, 1: 25}
        member = self.client.join(group, topic)
        try:
            until("the member was given every record", lambda: len(member.seen()) == 50)
            member.commit({0: 7, 1: 20})
        finally:
            member.leave()
        same(self.client.committed(group, topic), {0: 7, 1: 20}, "committed offsets")
        lag = {p: ends[p] - offset for p, offset in self.client.committed(group, topic).items()}
        same(lag, {0: 18, 1: 5}, "lag")
        if group not in self.client.groups():
            raise AssertionError("the group is not in the list of groups")
        member = self.client.join(group, topic)
        try:
            rest = {(0, o) for o in range(7, 25)} | {(1, o) for o in range(20, 25)}
            until("the new member was given the rest", lambda: rest <= member.seen())
            same(member.seen(), rest, "records after the commit")
        finally:
            member.leave()
        if hasattr(self.client, "delete_group"):
            until("the group is empty", lambda: self.client.describe_group(group)[0] == "empty")
            self.client.delete_group(group)
            until("the group is gone", lambda: group not in self.client.groups())

    def transaction_commit(self):
        topics = [self.topic(f"tx-{part}", 1) for part in "ab"]
        sent = self.records(10, "x")
        with_id = self.client.transaction(f"{self.name}-commit")
        try:
            with_id.init()
            with_id.begin()
            for topic in topics:
                with_id.send(topic, sent)
            same(self.client.ends(topics[0]), {0: len(sent)}, "end while the transaction is open")
            same(self.client.ends(topics[0], read_committed=True), {0: 0}, "end of the committed records")
            with_id.commit()
            for topic in topics:
                found = self.client.read(topic, self.client.ends(topic), read_committed=True)
                same(found, {0: sent}, "records of a committed transaction")
        finally:
            with_id.close()

    def transaction_abort(self):
        topic = self.topic("tx-abort", 1)
        lost, kept = self.records(10, "lost"), self.records(10, "kept")
        with_id = self.client.transaction(f"{self.name}-abort")
        try:
            with_id.init()
            for batch, end in ((lost, with_id.abort), (kept, with_id.commit), (lost, with_id.abort)):
                with_id.begin()
                with_id.send(topic, batch)
                end()
        finally:
            with_id.close()
        ends = self.client.ends(topic)
        same(self.client.read(topic, ends, read_committed=True), {0: kept}, "committed records")
        same(self.client.read(topic, ends), {0: lost + kept + lost}, "all records")

    def transaction_offsets(self):
        topic, group = self.topic("tx-in", 1), f"{self.name}-tx-group"
        self.client.produce(topic, self.records(10, "i"))
        with_id = self.client.transaction(f"{self.name}-offsets")
        try:
            with_id.init()
            for offset, end, expected in ((5, with_id.abort, {}), (6, with_id.commit, {0: 6}), (9, with_id.abort, {0: 6})):
                with_id.begin()
                with_id.send(topic, self.records(0, "o"))
                with_id.send_offsets(group, topic, {0: offset})
                end()
                same(self.client.committed(group, topic), expected, "committed offsets")
        finally:
            with_id.close()

    def transaction_fencing(self):
        topic = self.topic("tx-fence", 1)
        old, new = (self.client.transaction(f"{self.name}-fence") for _ in range(2))
        try:
            old.init()
            old.begin()
            old.send(topic, self.records(3, "old"))
            new.init()
            new.begin()
            sent = self.records(3, "new")
            new.send(topic, sent)
            new.commit()
            refused = refusal(old, topic, sent)
            if not re.search("fence|producer_?epoch", f"{refused!r} {refused}", re.IGNORECASE):
                raise AssertionError(f"the old producer is not told that it is fenced, but: {refused!r}")
            found = self.client.read(topic, self.client.ends(topic), read_committed=True)
            same(found, {0: sent}, "records")
        finally:
            old.close()
            new.close()

    def delete_topic(self):
        for topic in self.topics:
            self.client.delete_topic(topic)
        for topic in self.topics:
            until(f"{topic} is gone", lambda: self.client.partition_count(topic) == 0)


def shared(first, second):
    """That two members have all four partitions, each some and none both."""
    return first.assignment() | second.assignment() == {0, 1, 2, 3} and len(first.assignment()) == len(second.assignment()) == 2


def refusal(old, topic, late):
    """Why a producer can't go on with its transaction; None where it can."""
    try:
        old.send(topic, late)
        old.commit()
    except Exception as error:
        return error
    return None


def main(client, default):
    """`SCRIPT BOOTSTRAP [NAME]`: all checks with the client; topics and groups begin with NAME."""
    if len(sys.argv) not in (2, 3):
        sys.exit(f"usage: {sys.argv[0]} BOOTSTRAP [NAME]")
    name = sys.argv[2] if len(sys.argv) == 3 else f"{default}-{secrets.token_hex(4)}"
    # A call that never comes back can't be waited for: then say where it hangs and end.
    faulthandler.dump_traceback_later(RUN_S, exit=True)
    run = Run(client(sys.argv[1]), name)
    run.all()
    print(f"{run.passed} passed, {run.failed} failed", flush=True)
    sys.exit(1 if run.failed else 0)
