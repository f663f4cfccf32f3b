"""librdkafka's mock cluster as a program: brokers that fail as they are told.

Usage: python mock_cluster.py BROKERS

Needs the wheel of confluent-kafka, which brings librdkafka. Prints the brokers' addresses as one line, then reads commands, one a line, and
answers each with `ok` or `error: ...`. It ends with its input.

    topic NAME PARTITIONS REPLICAS      makes a topic
    errors API CODE ...                 the next requests of that API, by number, fail so; -195 closes the connection before anything is done
    delay BROKER API CODE MS            the next such request at that broker is answered so (0: done) after that time
    leader NAME PARTITION BROKER        moves a partition
    down BROKER, up BROKER              a broker leaves, and comes back

Source: librdkafka's rdkafka_mock.h.
"""

import ctypes
import glob
import importlib.util
import os
import sys

PRODUCER = 0


def library():
    package = os.path.dirname(importlib.util.find_spec("confluent_kafka").origin)
    for folder in (package + ".libs", package, os.path.join(package, ".dylibs")):
        for path in sorted(glob.glob(os.path.join(folder, "librdkafka*"))):
            return ctypes.CDLL(path)
    raise SystemExit("the wheel of confluent-kafka has no librdkafka")


class Cluster:
    def __init__(self, brokers):
        lib = self.lib = library()
        lib.rd_kafka_conf_new.restype = ctypes.c_void_p
        lib.rd_kafka_new.restype = ctypes.c_void_p
        lib.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        lib.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
        lib.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
        lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        lib.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
        lib.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
        lib.rd_kafka_mock_partition_set_leader.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
        lib.rd_kafka_mock_push_request_errors_array.restype = None
        lib.rd_kafka_mock_push_request_errors_array.argtypes = [
            ctypes.c_void_p, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)]
        lib.rd_kafka_mock_broker_set_down.argtypes = [ctypes.c_void_p, ctypes.c_int32]
        lib.rd_kafka_mock_broker_set_up.argtypes = [ctypes.c_void_p, ctypes.c_int32]
        message = ctypes.create_string_buffer(512)
        client = lib.rd_kafka_new(PRODUCER, lib.rd_kafka_conf_new(), message, len(message))
        if not client:
            raise SystemExit(message.value.decode())
        self.cluster = lib.rd_kafka_mock_cluster_new(client, brokers)
        self.addresses = lib.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()

    def topic(self, name, partitions, replicas):
        return self.lib.rd_kafka_mock_topic_create(self.cluster, name.encode(), int(partitions), int(replicas))

    def errors(self, api, *codes):
        array = (ctypes.c_int * len(codes))(*map(int, codes))
        self.lib.rd_kafka_mock_push_request_errors_array(self.cluster, int(api), len(codes), array)

    def delay(self, broker, api, code, delay_ms):
        one = ctypes.c_size_t(1)
        return self.lib.rd_kafka_mock_broker_push_request_error_rtts(
            ctypes.c_void_p(self.cluster), ctypes.c_int32(int(broker)), ctypes.c_int16(int(api)), one,
            ctypes.c_int(int(code)), ctypes.c_int(int(delay_ms)))

    def leader(self, name, partition, broker):
        return self.lib.rd_kafka_mock_partition_set_leader(self.cluster, name.encode(), int(partition), int(broker))

    def down(self, broker):
        return self.lib.rd_kafka_mock_broker_set_down(self.cluster, int(broker))

    def up(self, broker):
        return self.lib.rd_kafka_mock_broker_set_up(self.cluster, int(broker))


def main():
    cluster = Cluster(int(sys.argv[1]))
    print(cluster.addresses, flush=True)
    commands = {name: getattr(cluster, name) for name in ("topic", "errors", "delay", "leader", "down", "up")}
    for line in sys.stdin:
        name, *arguments = line.split()
        try:
            code = commands[name](*arguments)
            print(f"error: {code}" if code else "ok", flush=True)
        except (KeyError, TypeError, ValueError) as error:
            print(f"error: {error!r}", flush=True)
    # The client's threads need no farewell.
    os._exit(0)


main()
