// What the checks ask of a broker, in their own words. Must not judge the answers.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Cluster {
    static final int WAIT_S = 30;
    private final String bootstrap;
    final Admin admin;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

    Cluster(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    static <T> T wait(Future<T> future) throws Exception {
        return future.get(WAIT_S, TimeUnit.SECONDS);
    }

    void createTopic(String topic, int partitions) throws Exception {
        wait(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all());
    }

    /** 0 where there is no such topic, which must not be made by asking. */
    int partitionCount(String topic) throws Exception {
        if (!wait(admin.listTopics().names()).contains(topic)) return 0;
        return wait(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().size();
    }

    void createPartitions(String topic, int total) throws Exception {
        wait(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(total))).all());
    }

    String topicConfig(String topic, String name) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return wait(admin.describeConfigs(List.of(resource)).all()).get(resource).get(name).value();
    }

    void setTopicConfig(String topic, String name, String value) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        AlterConfigOp set = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
        wait(admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all());
    }

    void deleteRecords(String topic, int partition, long first) throws Exception {
        wait(admin.deleteRecords(Map.of(new TopicPartition(topic, partition), RecordsToDelete.beforeOffset(first))).all());
    }

    void deleteTopics(Collection<String> topics) throws Exception {
        // A producer that still knows a topic may ask for it again, and so make it again.
        producers.values().forEach(KafkaProducer::close);
        wait(admin.deleteTopics(topics).all());
    }

    /** {partition: offset}; no entry where the broker knows none. */
    Map<Integer, Long> offsets(String topic, OffsetSpec spec, IsolationLevel level) throws Exception {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int partition = partitionCount(topic) - 1; partition >= 0; partition--) {
            asked.put(new TopicPartition(topic, partition), spec);
        }
        Map<Integer, Long> found = new TreeMap<>();
        wait(admin.listOffsets(asked, new ListOffsetsOptions(level)).all()).forEach((partition, one) -> {
            if (one.offset() >= 0) found.put(partition.partition(), one.offset());
        });
        return found;
    }

    Map<Integer, Long> ends(String topic) throws Exception {
        return offsets(topic, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("max.block.ms", WAIT_S * 1000);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** Where the records went, in their order; `partition` may be null. */
    List<RecordMetadata> produce(String topic, List<Sent> records, String codec, Integer partition) throws Exception {
        return send(producers.computeIfAbsent(codec, this::compressing), topic, records, partition);
    }

    private KafkaProducer<byte[], byte[]> compressing(String codec) {
        return producer(Map.of("compression.type", codec, "linger.ms", 20, "max.request.size", 2_000_000));
    }

    static List<RecordMetadata> send(KafkaProducer<byte[], byte[]> producer, String topic, List<Sent> records, Integer partition)
            throws Exception {
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (Sent record : records) futures.add(producer.send(record.to(topic, partition)));
        List<RecordMetadata> places = new ArrayList<>();
        for (Future<RecordMetadata> future : futures) places.add(wait(future));
        return places;
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("enable.auto.commit", false);
        all.put("auto.offset.reset", "earliest");
        all.put("allow.auto.create.topics", false);
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** {partition: records} from the beginning until the consumer's position has reached the ends. */
    Map<Integer, List<Sent>> read(String topic, Map<Integer, Long> ends, String level) throws Exception {
        Map<Integer, List<Sent>> found = new TreeMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("isolation.level", level))) {
            consumer.assign(ends.keySet().stream().map(partition -> new TopicPartition(topic, partition)).toList());
            consumer.seekToBeginning(consumer.assignment());
            Checks.until(topic + " is read to its end", () -> {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    found.computeIfAbsent(record.partition(), none -> new ArrayList<>()).add(Sent.of(record));
                }
                return consumer.assignment().stream().allMatch(one -> consumer.position(one) >= ends.get(one.partition()));
            });
        }
        return found;
    }

    Map<Integer, Long> committed(String group, String topic) throws Exception {
        Map<Integer, Long> found = new TreeMap<>();
        wait(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).forEach((partition, place) -> {
            if (partition.topic().equals(topic) && place != null) found.put(partition.partition(), place.offset());
        });
        return found;
    }

    Set<String> groups() throws Exception {
        return wait(admin.listConsumerGroups().all()).stream().map(one -> one.groupId()).collect(Collectors.toSet());
    }

    /** The group's state, and behind it the partitions of each member, sorted. */
    String describe(String group) throws Exception {
        ConsumerGroupDescription found = wait(admin.describeConsumerGroups(List.of(group)).all()).get(group);
        Set<String> shares = new TreeSet<>();
        found.members().forEach(member -> shares.add(partitions(member.assignment().topicPartitions()).toString()));
        return found.state() + " " + shares;
    }

    static Set<Integer> partitions(Collection<TopicPartition> assignment) {
        return assignment.stream().map(TopicPartition::partition).collect(Collectors.toCollection(TreeSet::new));
    }
}
