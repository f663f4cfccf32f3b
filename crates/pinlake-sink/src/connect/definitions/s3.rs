//! The bucket, and what stands beside the values.

use super::connector::FORMATS;
use crate::connect::setting::Type::{Boolean, Class, Int, List, Long, Password, String};
use crate::connect::setting::{Check, Group, Width, setting};

const HEADER_FORMATS: &[&str] =
    &["io.confluent.connect.s3.format.json.JsonFormat", "io.confluent.connect.s3.format.parquet.ParquetFormat"];

pub(super) const S3: Group = Group {
    name: "S3",
    settings: &[
        setting(
            "s3.bucket.name",
            String,
            "S3 Bucket",
            "The bucket. Where the server keeps buckets of its own, it is a folder there.",
        )
        .high(),
        setting("s3.object.tagging", Boolean, "S3 Object Tagging", "Whether objects are tagged with offsets and counts.")
            .or("false")
            .refused("objects get no tags here: take it out; the first offset is in an object's name"),
        setting("s3.object.tagging.key.value.pairs", List, "S3 Object Tagging Extra Key Value pairs", "More tags for objects.")
            .or("")
            .refused("objects get no tags here: take it out"),
        setting(
            "s3.object.behavior.on.tagging.error",
            String,
            "Behavior for S3 object tagging error",
            "Ignored: objects get no tags.",
        )
        .or("ignore")
        .checked(Check::OneOfAnyCase(&["ignore", "fail"]))
        .wide(Width::Short),
        setting("s3.region", String, "AWS region", "The bucket's region.").or("us-west-2").medium().checked(Check::Region),
        setting("s3.part.size", Int, "S3 Part Size", "Ignored beyond its bounds: how an object is sent is decided by its size.")
            .or("26214400")
            .high()
            .checked(Check::Between(5 << 20, i32::MAX as i64)),
        setting(
            "s3.credentials.provider.class",
            Class,
            "AWS Credentials Provider Class",
            "Where keys come from: the environment, a web identity, the container or the machine, as AWS's own default has \
                 it, unless aws.access.key.id is set.",
        )
        .or("com.amazonaws.auth.DefaultAWSCredentialsProviderChain")
        .checked(Check::Class(&["com.amazonaws.auth.DefaultAWSCredentialsProviderChain"])),
        setting("aws.access.key.id", String, "AWS Access Key ID", "The id of a key for this connector alone.").or("").high(),
        setting(
            "aws.secret.access.key",
            Password,
            "AWS Secret Access Key",
            "The secret of that key. Better than the secret is a reference, ${file:PATH:NAME} or ${env:NAME}.",
        )
        .or_null()
        .high(),
        setting("s3.ssea.name", String, "S3 Server Side Encryption Algorithm", "How the store encrypts what it keeps.")
            .or("")
            .refused("encryption is not asked for by a connector here: set it as the bucket's default"),
        setting(
            "s3.sse.customer.key",
            Password,
            "S3 Server Side Encryption Customer-Provided Key (SSE-C)",
            "A key of one's own for encryption.",
        )
        .or_null()
        .refused("encryption is not asked for by a connector here: set it as the bucket's default"),
        setting("s3.sse.kms.key.id", String, "S3 Server Side Encryption Key", "The KMS key for encryption.")
            .or("")
            .refused("encryption is not asked for by a connector here: set it as the bucket's default"),
        setting("s3.acl.canned", String, "S3 Canned ACL", "Who may read the objects.")
            .or_null()
            .refused("objects get no access list here: use the bucket's policy"),
        setting("s3.wan.mode", Boolean, "S3 accelerated endpoint enabled", "Whether AWS's accelerated addresses are used.")
            .or("false")
            .medium()
            .refused("accelerated addresses are not used here: set store.url"),
        setting("s3.compression.type", String, "Compression type", "How files of JSON and of bytes are compressed.")
            .or("none")
            .checked(Check::OneOf(&["none", "gzip"])),
        setting(
            "s3.compression.level",
            Int,
            "Compression Level",
            "How hard it is tried: 0 not at all to 9 most, -1 for the usual.",
        )
        .or("-1")
        .checked(Check::Between(-1, 9)),
        setting("json.decimal.format", String, "Decimal Format", "Ignored: JSON's numbers are written as they came.")
            .or("BASE64")
            .medium()
            .checked(Check::OneOfAnyCase(&["BASE64", "NUMERIC"]))
            .wide(Width::Medium),
        setting("s3.part.retries", Int, "S3 Part Upload Retries", "How many times a request that fails is made again at least.")
            .or("3")
            .medium()
            .checked(Check::AtLeast(0)),
        setting(
            "s3.retry.backoff.ms",
            Long,
            "Retry Backoff (ms)",
            "The pause before a failed request is made again, milliseconds. It doubles up to ten seconds.",
        )
        .or("200")
        .checked(Check::Between(0, 86_400_000))
        .wide(Width::Short),
        setting(
            "format.bytearray.extension",
            String,
            "Output file extension for ByteArrayFormat",
            "How the name of a file of bytes ends.",
        )
        .or(".bin"),
        setting(
            "format.bytearray.separator",
            String,
            "Line separator ByteArrayFormat",
            "What stands behind each record in a file of bytes; a line break unless it is set.",
        )
        .or_null(),
        setting("s3.proxy.url", String, "S3 Proxy Settings", "A proxy on the way to the store.")
            .or("")
            .refused("a connector has no proxy of its own here: take it out"),
        setting("s3.proxy.user", String, "S3 Proxy User", "Ignored: there is no proxy.").or_null(),
        setting("s3.proxy.password", Password, "S3 Proxy Password", "Ignored: there is no proxy.").or_null(),
        setting("s3.http.send.expect.continue", Boolean, "S3 HTTP Send Uses Expect Continue", "Ignored.")
            .or("true")
            .wide(Width::Short),
        setting(
            "behavior.on.null.values",
            String,
            "Behavior for null-valued records",
            "What becomes of records without a value: fail treats them as such that can't be written, ignore passes them \
                 over, write puts their keys into objects of their own, for which store.kafka.keys must be true.",
        )
        .or("fail")
        .checked(Check::OneOfAnyCase(&["ignore", "fail", "write"]))
        .wide(Width::Short),
        setting(
            "tombstone.encoded.partition",
            String,
            "Tombstone Encoded Partition",
            "The folder for the keys of records without a value.",
        )
        .or("tombstone")
        .wide(Width::Short),
        setting(
            "s3.schema.partition.affix.type",
            String,
            "Schema Partition Affix Type",
            "Whether a schema's name is a part of objects' names.",
        )
        .or("NONE")
        .checked(Check::OneOf(&["SUFFIX", "PREFIX", "NONE"]))
        .refused("schemas' names are not put into objects' names here"),
        setting("s3.send.digest", Boolean, "S3 Send Upload Message Digest", "Ignored.").or("false").wide(Width::Short),
        setting(
            "enable.conditional.writes",
            Boolean,
            "Enable Conditional Writes",
            "Whether an object that is there already must be the same as the one to be written; otherwise it is written over.",
        )
        .or("true")
        .wide(Width::Short),
    ],
};

pub(super) const KEYS_AND_HEADERS: Group = Group {
    name: "Keys and Headers",
    settings: &[
        setting(
            "store.kafka.keys",
            Boolean,
            "Store kafka keys",
            "Whether keys are written too, into files beside the values. A record without a key can't be written then.",
        )
        .or("false")
        .wide(Width::Short)
        .over(&["keys.format.class"]),
        setting(
            "store.kafka.headers",
            Boolean,
            "Store kafka headers",
            "Whether headers are written too, into files beside the values. A record without headers can't be written then.",
        )
        .or("false")
        .wide(Width::Short)
        .over(&["headers.format.class"]),
        setting(
            "keys.format.class",
            Class,
            "Keys format class",
            "How keys are written. The default of Confluent, Avro, is not written here: set another if store.kafka.keys is \
                 true.",
        )
        .or("io.confluent.connect.s3.format.avro.AvroFormat")
        .checked(Check::Class(FORMATS))
        .wide(Width::None),
        setting(
            "headers.format.class",
            Class,
            "Headers format class",
            "How headers are written. The default of Confluent, Avro, is not written here: set another if store.kafka.headers \
                 is true.",
        )
        .or("io.confluent.connect.s3.format.avro.AvroFormat")
        .checked(Check::Class(HEADER_FORMATS))
        .wide(Width::None),
        setting(
            "s3.path.style.access.enabled",
            Boolean,
            "Enable Path Style Access to S3",
            "Whether the bucket stands in the path of a request and not in the host's name.",
        )
        .or("true")
        .wide(Width::Short),
        setting("s3.elastic.buffer.enable", Boolean, "Enable elastic buffer to staging s3-part", "Ignored.").or("false"),
        setting("s3.elastic.buffer.init.capacity", Int, "Elastic buffer initial capacity", "Ignored.")
            .or("131072")
            .checked(Check::AtLeast(4096)),
    ],
};
