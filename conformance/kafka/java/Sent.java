// A record as it is sent and as it is read back, and the records that the checks send. Must not speak to a broker.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

record Sent(byte[] key, byte[] value, List<Header> headers) {
    /** Five records on the edges, then plain ones. */
    static List<Sent> records(int count, String tag) {
        byte[] every = new byte[256];
        for (int i = 0; i < every.length; i++) every[i] = (byte) i;
        byte[] many = new byte[40 * every.length];
        for (int i = 0; i < many.length; i++) many[i] = (byte) i;
        List<Sent> all = new ArrayList<>();
        all.add(new Sent(null, bytes(tag + " no key"), List.of()));
        all.add(new Sent(bytes(tag + " no value"), null, List.of()));
        all.add(new Sent(new byte[0], new byte[0], List.of()));
        all.add(new Sent(every, many, List.of(header("all", every), header("empty", new byte[0]), header("null", null))));
        List<Header> twice = List.of(header("twice", bytes("1")), header("twice", bytes("2")), header("имя", bytes("3")));
        all.add(new Sent(bytes("ключ"), bytes("значение \ud83d\ude00"), twice));
        for (int i = 0; i < count; i++) {
            byte[] value = bytes((tag + " value " + i + " ").repeat(20));
            all.add(new Sent(bytes(tag + "-" + i), value, List.of(header("n", bytes(String.valueOf(i))))));
        }
        return all;
    }

    /** The keys of the partitioner's topic: of all lengths, with bytes above 127. */
    static List<Sent> keys() {
        List<Sent> all = new ArrayList<>();
        for (int i = 0; i < 20; i++) all.add(new Sent(bytes("x".repeat(i) + "é" + i), bytes("key " + i), List.of()));
        return all;
    }

    static Sent of(ConsumerRecord<byte[], byte[]> record) {
        return new Sent(record.key(), record.value(), List.of(record.headers().toArray()));
    }

    ProducerRecord<byte[], byte[]> to(String topic, Integer partition) {
        return new ProducerRecord<>(topic, partition, key, value, headers);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Header header(String name, byte[] value) {
        return new RecordHeader(name, value);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Sent that && Arrays.equals(key, that.key) && Arrays.equals(value, that.value)
                && headers.equals(that.headers);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(key);
    }

    @Override
    public String toString() {
        return Arrays.toString(key) + "=" + Arrays.toString(value) + headers;
    }
}
