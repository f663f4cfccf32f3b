// A member of a group that reads in the background, from the beginning where nothing is committed. One thread of its own makes
// all calls to the consumer.

import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

final class Member implements AutoCloseable {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final String topic;
    private final Thread thread = new Thread(this::run);
    private final LinkedBlockingQueue<Runnable> calls = new LinkedBlockingQueue<>();
    private volatile boolean leaving;
    /** Its partitions now. */
    volatile Set<Integer> assigned = Set.of();
    /** "partition:offset" of all that it was given. */
    final Set<String> seen = ConcurrentHashMap.newKeySet();
    /** What ended it before it was told to leave. */
    volatile Exception ended;

    Member(Cluster cluster, String group, String topic, Map<String, Object> more) {
        Map<String, Object> settings = new HashMap<>(more);
        settings.put("group.id", group);
        settings.put("heartbeat.interval.ms", 300);
        settings.put("session.timeout.ms", 10_000);
        this.consumer = cluster.consumer(settings);
        this.topic = topic;
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        try (consumer) {
            consumer.subscribe(Set.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    assigned = Set.of();
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    assigned = Cluster.partitions(consumer.assignment());
                }
            });
            while (!leaving) {
                consumer.poll(Duration.ofMillis(100)).forEach(one -> seen.add(one.partition() + ":" + one.offset()));
                for (Runnable call = calls.poll(); call != null; call = calls.poll()) call.run();
            }
        } catch (Exception error) {
            ended = error;
        }
    }

    void commit(Map<Integer, Long> offsets) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> asked = new HashMap<>();
        offsets.forEach((partition, offset) -> asked.put(new TopicPartition(topic, partition), new OffsetAndMetadata(offset)));
        CompletableFuture<Void> done = new CompletableFuture<>();
        calls.add(() -> {
            try {
                consumer.commitSync(asked);
                done.complete(null);
            } catch (Exception error) {
                done.completeExceptionally(error);
            }
        });
        done.get(Cluster.WAIT_S, TimeUnit.SECONDS);
    }

    @Override
    public void close() throws InterruptedException {
        leaving = true;
        thread.join(Cluster.WAIT_S * 1000L);
    }
}
