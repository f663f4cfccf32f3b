"""transactions_to.py BOOTSTRAP TOPIC USER PASSWORD_FILE CA_FILE: writes transactions of pins to a topic, and prints how many records the
committed ones hold.

Those that commit number their pins from 0; those that abort write numbers from 1,000,000 on, which nobody may ever see. The last transaction
is left open for a while and aborted by the next producer of its name.
"""
import json
import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP, TOPIC, USER, PASSWORD_FILE, CA = sys.argv[1:]
with open(PASSWORD_FILE, encoding="utf-8") as file:
    PASSWORD = file.read().strip()
BASE = {
    "bootstrap.servers": BOOTSTRAP,
    "security.protocol": "SASL_SSL",
    "sasl.mechanisms": "SCRAM-SHA-512",
    "sasl.username": USER,
    "sasl.password": PASSWORD,
    "ssl.ca.location": CA,
}
TRANSACTIONS, RECORDS = 20, 7


def pin(index):
    return json.dumps({"index": index, "category": "art"})


def begun():
    producer = Producer({**BASE, "transactional.id": "writer"})
    producer.init_transactions(30)
    return producer


# Its futures end with it.
admin = AdminClient(BASE)
admin.create_topics([NewTopic(TOPIC, 3, 1)])[TOPIC].result(30)
producer, committed = begun(), 0
for number in range(TRANSACTIONS):
    aborts = number % 3 == 1
    producer.begin_transaction()
    for record in range(RECORDS):
        index = 1_000_000 + number * RECORDS + record if aborts else committed + record
        producer.produce(TOPIC, pin(index), partition=record % 3)
    producer.flush(30)
    if aborts:
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)
        committed += RECORDS
producer.begin_transaction()
producer.produce(TOPIC, pin(2_000_000), partition=0)
producer.flush(30)
begun()
print(committed)
