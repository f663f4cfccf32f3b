// What Java's clients must be able to do with a broker: the checks of ../clients/checks.py, and those that only the AdminClient
// makes. Usage: Checks BOOTSTRAP NAME; topics and groups begin with NAME. Each check prints 'ok NAME' or 'FAIL NAME why'.

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

public final class Checks {
    private static final long FIRST_ASSIGNMENT_MS = 3_000;
    private static final long RUN_MS = 300_000;
    private static final Set<Integer> ALL = Set.of(0, 1, 2, 3);
    private final Cluster cluster;
    private final String name;
    private final List<String> topics = new ArrayList<>();
    private int passed;
    private int failed;

    private Checks(String bootstrap, String name) {
        this.cluster = new Cluster(bootstrap);
        this.name = name;
    }

    public static void main(String[] args) {
        // A call that never comes back ends the run all the same.
        Thread deadline = new Thread(() -> {
            try {
                Thread.sleep(RUN_MS);
            } catch (InterruptedException never) {
                return;
            }
            System.out.println("FAIL run not done in " + RUN_MS + " ms\n0 passed, 1 failed");
            Runtime.getRuntime().halt(1);
        });
        deadline.setDaemon(true);
        deadline.start();
        Checks checks = new Checks(args[0], args[1]);
        checks.all();
        System.out.println(checks.passed + " passed, " + checks.failed + " failed");
        System.exit(checks.failed > 0 ? 1 : 0);
    }

    private interface Body {
        void run() throws Exception;
    }

    private void check(String title, Body body) {
        try {
            body.run();
            passed++;
            System.out.println("ok " + title);
        } catch (Throwable error) {
            failed++;
            StackTraceElement[] at = error.getStackTrace();
            String place = java.util.Arrays.stream(at).filter(one -> one.getFileName() != null && one.getClassName().equals("Checks"))
                    .map(one -> one.getMethodName() + ":" + one.getLineNumber()).limit(3).collect(Collectors.joining(" "));
            System.out.println("FAIL " + title + " " + error.toString().replaceAll("\\s+", " ") + " (" + place + ")");
        }
    }

    /** Asks until the answer is true. */
    static void until(String what, Callable<Boolean> probe) throws Exception {
        long end = System.nanoTime() + Cluster.WAIT_S * 1_000_000_000L;
        while (!probe.call()) {
            if (System.nanoTime() > end) throw new AssertionError("not within " + Cluster.WAIT_S + " s: " + what);
            Thread.sleep(20);
        }
    }

    private static void same(Object found, Object expected, String what) {
        if (!found.equals(expected)) throw new AssertionError(what + ": " + cut(found) + " is not " + cut(expected));
    }

    private static String cut(Object value) {
        String text = value.toString();
        return text.length() > 400 ? text.substring(0, 400) : text;
    }

    private void all() {
        check("create_topic", this::createTopic);
        for (String codec : codecs()) check("round_trip_" + codec.replace("none", "plain"), () -> roundTrip(codec));
        check("round_trip_large", this::large);
        check("partitioner", this::partitioner);
        check("offsets_by_time", this::offsetsByTime);
        check("topic_config", this::topicConfig);
        check("create_partitions", this::createPartitions);
        check("delete_records", this::deleteRecords);
        check("describe_cluster", this::describeCluster);
        check("group_rebalance", () -> groupRebalance("group", Map.of()));
        String cooperative = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        check("group_cooperative", () -> groupRebalance("cooperative", Map.of("partition.assignment.strategy", cooperative)));
        check("group_static", this::groupStatic);
        check("group_resume", this::groupResume);
        check("group_offsets_admin", this::groupOffsetsAdmin);
        check("transaction_commit", this::transactionCommit);
        check("transaction_abort", this::transactionAbort);
        check("transaction_offsets", this::transactionOffsets);
        check("transaction_fencing", this::transactionFencing);
        check("transaction_admin", this::transactionAdmin);
        check("delete_topic", this::deleteTopic);
    }

    /** gzip and lz4 are built in, the others are where their libraries are. */
    private static List<String> codecs() {
        List<String> found = new ArrayList<>(List.of("none", "gzip", "lz4"));
        Map.of("snappy", "org.xerial.snappy.Snappy", "zstd", "com.github.luben.zstd.Zstd").forEach((codec, library) -> {
            try {
                Class.forName(library);
                found.add(codec);
            } catch (ClassNotFoundException | LinkageError absent) {
                System.out.println("without " + codec + ": " + absent);
            }
        });
        return found;
    }

    private String topic(String suffix, int partitions) throws Exception {
        String topic = name + "-" + suffix;
        cluster.createTopic(topic, partitions);
        topics.add(topic);
        until(topic + " has " + partitions + " partitions", () -> cluster.partitionCount(topic) == partitions);
        return topic;
    }

    private void createTopic() throws Exception {
        String absent = name + "-absent";
        same(cluster.partitionCount(absent), 0, "partitions of a topic that nobody made");
        topic("made", 3);
        same(cluster.partitionCount(absent), 0, "partitions of a topic that was only asked for");
    }

    private void roundTrip(String codec) throws Exception {
        String topic = topic("round-trip-" + codec, 2);
        Map<Integer, List<Sent>> sent = new TreeMap<>(Map.of(0, Sent.records(200, "a"), 1, Sent.records(30, "b")));
        Map<Integer, Long> ends = new TreeMap<>();
        for (int partition : sent.keySet()) {
            List<RecordMetadata> places = cluster.produce(topic, sent.get(partition), codec, partition);
            for (int i = 0; i < places.size(); i++) same(places.get(i).offset(), (long) i, "offset");
            ends.put(partition, (long) places.size());
        }
        same(cluster.ends(topic), ends, "ends");
        same(cluster.read(topic, ends, "read_uncommitted"), sent, "records");
    }

    private void large() throws Exception {
        String topic = topic("large", 1);
        byte[] value = new byte[900_000];
        new Random(7).nextBytes(value);
        List<Sent> sent = List.of(new Sent(Sent.bytes("large"), value, List.of()), new Sent(null, Sent.bytes("after"), List.of()));
        cluster.produce(topic, sent, "none", 0);
        same(cluster.read(topic, Map.of(0, 2L), "read_uncommitted"), Map.of(0, sent), "records");
    }

    private void partitioner() throws Exception {
        String topic = topic("keys", 7);
        List<RecordMetadata> places = cluster.produce(topic, Sent.keys(), "none", null);
        System.out.println("partitions: " + places.stream().map(one -> "" + one.partition()).collect(Collectors.joining(" ")));
        same(cluster.read(topic, cluster.ends(topic), "read_uncommitted").values().stream().mapToInt(List::size).sum(), 20, "records");
    }

    private void offsetsByTime() throws Exception {
        String topic = topic("times", 1);
        cluster.produce(topic, Sent.records(3, "t"), "none", 0);
        IsolationLevel level = IsolationLevel.READ_UNCOMMITTED;
        same(cluster.offsets(topic, OffsetSpec.forTimestamp(0), level), Map.of(0, 0L), "the offset at the beginning of time");
        same(cluster.offsets(topic, OffsetSpec.earliest(), level), Map.of(0, 0L), "the first offset");
        same(cluster.offsets(topic, OffsetSpec.maxTimestamp(), level).containsKey(0), true, "there is a latest record");
        long far = System.currentTimeMillis() + 3_600_000;
        same(cluster.offsets(topic, OffsetSpec.forTimestamp(far), level), Map.of(), "the offset in an hour");
    }

    private void topicConfig() throws Exception {
        String topic = topic("config", 1);
        cluster.setTopicConfig(topic, "retention.ms", "86400000");
        until("the topic has the new retention", () -> cluster.topicConfig(topic, "retention.ms").equals("86400000"));
    }

    private void createPartitions() throws Exception {
        String topic = topic("grows", 1);
        cluster.createPartitions(topic, 3);
        until("the topic has three partitions", () -> cluster.partitionCount(topic) == 3);
        same(cluster.produce(topic, Sent.records(0, "g").subList(0, 1), "none", 2).get(0).offset(), 0L, "first offset");
    }

    private void deleteRecords() throws Exception {
        String topic = topic("cut", 1);
        List<Sent> sent = Sent.records(20, "c");
        cluster.produce(topic, sent, "none", 0);
        cluster.deleteRecords(topic, 0, 10);
        same(cluster.read(topic, Map.of(0, 25L), "read_uncommitted"), Map.of(0, sent.subList(10, 25)), "records");
    }

    private void describeCluster() throws Exception {
        var found = cluster.admin.describeCluster();
        same(Cluster.wait(found.clusterId()).isEmpty(), false, "the cluster has no name");
        int node = Cluster.wait(found.controller()).id();
        same(Cluster.wait(found.nodes()).stream().anyMatch(one -> one.id() == node), true, "the controller is a node");
        same(Cluster.wait(cluster.admin.describeLogDirs(List.of(node)).allDescriptions()).containsKey(node), true, "log folders");
    }

    private void groupRebalance(String suffix, Map<String, Object> settings) throws Exception {
        String topic = topic(suffix, 4);
        String group = name + "-" + suffix;
        Set<String> everything = new HashSet<>();
        for (int partition : ALL) {
            for (RecordMetadata place : cluster.produce(topic, Sent.records(20, "p" + partition), "none", partition)) {
                everything.add(partition + ":" + place.offset());
            }
        }
        long began = System.nanoTime();
        Member first = new Member(cluster, group, topic, settings);
        Member second = null;
        try {
            until("the first member has all partitions", () -> first.assigned.equals(ALL));
            long took = (System.nanoTime() - began) / 1_000_000;
            if (took > FIRST_ASSIGNMENT_MS) throw new AssertionError("the first assignment took " + took + " ms");
            Member other = second = new Member(cluster, group, topic, settings);
            until("the members share the partitions", () -> share(first.assigned, other.assigned));
            Set<String> shares = new java.util.TreeSet<>(Set.of(first.assigned.toString(), other.assigned.toString()));
            same(cluster.describe(group), "Stable " + shares, "the group");
            first.close();
            until("the second member has all partitions", () -> other.assigned.equals(ALL));
            until("the members were given every record", () -> {
                Set<String> both = new HashSet<>(first.seen);
                both.addAll(other.seen);
                return both.equals(everything);
            });
        } finally {
            first.close();
            if (second != null) second.close();
        }
        until("the group is empty", () -> cluster.describe(group).equals("Empty []"));
    }

    private static boolean share(Set<Integer> one, Set<Integer> other) {
        Set<Integer> both = new HashSet<>(one);
        both.addAll(other);
        return both.equals(ALL) && one.size() == 2 && other.size() == 2;
    }

    /** A static member that comes back is the same member; the one that it replaces is told. */
    private void groupStatic() throws Exception {
        String topic = topic("static", 2);
        Map<String, Object> settings = Map.of("group.instance.id", "one");
        try (Member first = new Member(cluster, name + "-static", topic, settings)) {
            until("the first has all partitions", () -> first.assigned.size() == 2);
            try (Member second = new Member(cluster, name + "-static", topic, settings)) {
                until("the second has all partitions", () -> second.assigned.size() == 2);
                until("the first is fenced", () -> first.ended instanceof FencedInstanceIdException);
            }
        }
    }

    private void groupResume() throws Exception {
        String topic = topic("resume", 2);
        String group = name + "-resume";
        for (int partition : List.of(0, 1)) cluster.produce(topic, Sent.records(20, "r"), "none", partition);
        try (Member member = new Member(cluster, group, topic, Map.of())) {
            until("the member was given every record", () -> member.seen.size() == 50);
            member.commit(Map.of(0, 7L, 1, 20L));
        }
        Map<Integer, Long> committed = cluster.committed(group, topic);
        same(committed, Map.of(0, 7L, 1, 20L), "committed offsets");
        Map<Integer, Long> lag = new TreeMap<>();
        cluster.ends(topic).forEach((partition, end) -> lag.put(partition, end - committed.get(partition)));
        same(lag, Map.of(0, 18L, 1, 5L), "lag");
        same(cluster.groups().contains(group), true, "the list of groups has the group");
        try (Member member = new Member(cluster, group, topic, Map.of())) {
            until("the new member was given the rest", () -> member.seen.size() >= 23);
            same(member.seen.contains("0:7") && member.seen.contains("1:20") && member.seen.size() == 23, true, "it is the rest");
        }
        until("the group is empty", () -> cluster.describe(group).startsWith("Empty"));
        Cluster.wait(cluster.admin.deleteConsumerGroups(List.of(group)).all());
        until("the group is gone", () -> !cluster.groups().contains(group));
    }

    /** Offsets of a group that has no members are set and forgotten from outside. */
    private void groupOffsetsAdmin() throws Exception {
        String topic = topic("admin", 2);
        String group = name + "-admin";
        for (int partition : List.of(0, 1)) cluster.produce(topic, Sent.records(5, "a"), "none", partition);
        OffsetAndMetadata place = new OffsetAndMetadata(4, "a note");
        Map<TopicPartition, OffsetAndMetadata> asked = Map.of(at(topic, 0), place, at(topic, 1), place);
        Cluster.wait(cluster.admin.alterConsumerGroupOffsets(group, asked).all());
        var found = Cluster.wait(cluster.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        same(found.get(at(topic, 0)).metadata(), "a note", "metadata of the offset");
        Cluster.wait(cluster.admin.deleteConsumerGroupOffsets(group, Set.of(at(topic, 0))).all());
        same(cluster.committed(group, topic), Map.of(1, 4L), "committed offsets");
    }

    private static TopicPartition at(String topic, int partition) {
        return new TopicPartition(topic, partition);
    }

    private KafkaProducer<byte[], byte[]> transactional(String suffix) {
        return cluster.producer(Map.of("transactional.id", name + "-" + suffix));
    }

    private void transactionCommit() throws Exception {
        List<String> both = List.of(topic("tx-a", 1), topic("tx-b", 1));
        List<Sent> sent = Sent.records(10, "x");
        try (KafkaProducer<byte[], byte[]> producer = transactional("commit")) {
            producer.initTransactions();
            producer.beginTransaction();
            for (String topic : both) Cluster.send(producer, topic, sent, 0);
            same(cluster.ends(both.get(0)), Map.of(0, 15L), "end while the transaction is open");
            Map<Integer, Long> stable = cluster.offsets(both.get(0), OffsetSpec.latest(), IsolationLevel.READ_COMMITTED);
            same(stable, Map.of(0, 0L), "end of the committed records");
            producer.commitTransaction();
        }
        for (String topic : both) same(committedRecords(topic), Map.of(0, sent), "records of a committed transaction");
    }

    private Map<Integer, List<Sent>> committedRecords(String topic) throws Exception {
        return cluster.read(topic, cluster.ends(topic), "read_committed");
    }

    private void transactionAbort() throws Exception {
        String topic = topic("tx-abort", 1);
        List<Sent> lost = Sent.records(10, "lost");
        List<Sent> kept = Sent.records(10, "kept");
        try (KafkaProducer<byte[], byte[]> producer = transactional("abort")) {
            producer.initTransactions();
            for (List<Sent> batch : List.of(lost, kept, lost)) {
                producer.beginTransaction();
                Cluster.send(producer, topic, batch, 0);
                if (batch == kept) producer.commitTransaction();
                else producer.abortTransaction();
            }
        }
        same(committedRecords(topic), Map.of(0, kept), "committed records");
        same(cluster.read(topic, cluster.ends(topic), "read_uncommitted").get(0).size(), 45, "all records");
    }

    private void transactionOffsets() throws Exception {
        String topic = topic("tx-in", 1);
        String group = name + "-tx-group";
        cluster.produce(topic, Sent.records(10, "i"), "none", 0);
        try (KafkaProducer<byte[], byte[]> producer = transactional("offsets")) {
            producer.initTransactions();
            for (long offset : List.of(5L, 6L, 9L)) {
                producer.beginTransaction();
                Cluster.send(producer, topic, Sent.records(0, "o"), 0);
                Map<TopicPartition, OffsetAndMetadata> asked = Map.of(at(topic, 0), new OffsetAndMetadata(offset));
                producer.sendOffsetsToTransaction(asked, new ConsumerGroupMetadata(group));
                if (offset == 6) producer.commitTransaction();
                else producer.abortTransaction();
                same(cluster.committed(group, topic), offset == 5 ? Map.of() : Map.of(0, 6L), "committed offsets");
            }
        }
    }

    private void transactionFencing() throws Exception {
        String topic = topic("tx-fence", 1);
        List<Sent> sent = Sent.records(3, "new");
        try (KafkaProducer<byte[], byte[]> old = transactional("fence"); KafkaProducer<byte[], byte[]> next = transactional("fence")) {
            old.initTransactions();
            old.beginTransaction();
            Cluster.send(old, topic, Sent.records(3, "old"), 0);
            next.initTransactions();
            next.beginTransaction();
            Cluster.send(next, topic, sent, 0);
            next.commitTransaction();
            try {
                old.commitTransaction();
                throw new AssertionError("the old producer could still commit");
            } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
                same(committedRecords(topic), Map.of(0, sent), "records");
            }
        }
    }

    /** An open transaction is seen from outside. */
    private void transactionAdmin() throws Exception {
        String topic = topic("tx-admin", 1);
        String id = name + "-seen";
        try (KafkaProducer<byte[], byte[]> producer = transactional("seen")) {
            producer.initTransactions();
            producer.beginTransaction();
            Cluster.send(producer, topic, Sent.records(3, "s"), 0);
            var listed = Cluster.wait(cluster.admin.listTransactions().all());
            same(listed.stream().anyMatch(one -> one.transactionalId().equals(id)), true, "the list has the transaction");
            var described = Cluster.wait(cluster.admin.describeTransactions(List.of(id)).description(id));
            same(described.state(), TransactionState.ONGOING, "state");
            same(described.topicPartitions(), Set.of(at(topic, 0)), "partitions");
            var active = Cluster.wait(cluster.admin.describeProducers(List.of(at(topic, 0))).partitionResult(at(topic, 0)));
            same(active.activeProducers().size(), 1, "producers of the partition");
            same(active.activeProducers().get(0).currentTransactionStartOffset().getAsLong(), 0L, "where it began");
            producer.commitTransaction();
        }
    }

    private void deleteTopic() throws Exception {
        cluster.deleteTopics(topics);
        for (String topic : topics) until(topic + " is gone", () -> cluster.partitionCount(topic) == 0);
    }
}
