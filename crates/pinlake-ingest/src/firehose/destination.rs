//! The destination of a delivery stream: one in S3, as AWS describes it, with all defaults; and what of it is refused by rules of AWS's own. Whether a
//! bucket can be reached, a query be read or a schema be had is for who delivers to say.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::prefix;
use super::wording::ONE_DESTINATION;
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::kinesis::wording::argument;

/// The one destination of a delivery stream.
pub(crate) const DESTINATION_ID: &str = "destinationId-000000000001";
/// The members that both forms of a destination have.
const PLAIN: [&str; 8] = [
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
];
/// What a buffer takes unless something else is said, and the least where records are rearranged, MiB.
const SIZE_DEFAULT: i64 = 5;
const SIZE_DEFAULT_REARRANGED: i64 = 128;
const SIZE_MIN_REARRANGED: i64 = 64;
/// Seconds.
const INTERVAL_DEFAULT: i64 = 300;
const RETRY_DEFAULT: i64 = 300;

/// The destination that a CreateDeliveryStream brings.
pub(crate) fn new(input: &Value) -> Result<Value, AwsError> {
    complete(given(input, "DestinationConfiguration")?)
}

/// A destination after an UpdateDestination: what the call does not name stays.
pub(crate) fn updated(before: &Value, input: &Value) -> Result<Value, AwsError> {
    let update = given(input, "DestinationUpdate")?;
    let Value::Map(mut members) = before.clone() else { return Ok(before.clone()) };
    for (name, value) in members_of(update) {
        if name == "S3BackupUpdate" {
            let backup = before.get("S3BackupConfiguration").map_or(&[][..], members_of);
            let mut backup = backup.to_vec();
            members_of(value).iter().for_each(|(name, value)| put(&mut backup, name, value));
            put(&mut members, "S3BackupConfiguration", &Value::Map(backup));
        } else {
            put(&mut members, name, value);
        }
    }
    complete(&Value::Map(members))
}

type Members = [(Cow<'static, str>, Value)];

fn members_of(value: &Value) -> &Members {
    if let Value::Map(members) = value { members } else { &[] }
}

fn put(members: &mut Vec<(Cow<'static, str>, Value)>, name: &str, value: &Value) {
    match members.iter_mut().find(|(found, _)| found == name) {
        Some((_, there)) => *there = value.clone(),
        None => members.push((Cow::Owned(name.to_owned()), value.clone())),
    }
}

/// The one destination that a call gives, whose members end with `what`.
fn given<'a>(input: &'a Value, what: &str) -> Result<&'a Value, AwsError> {
    let mut all = members_of(input).iter().filter(|(name, _)| name.ends_with(what));
    let (Some((name, destination)), None) = (all.next(), all.next()) else { return Err(argument(ONE_DESTINATION)) };
    if *name != format!("S3{what}") && *name != format!("ExtendedS3{what}") {
        return Err(argument(format!("{name} is not served: this server delivers to S3, give ExtendedS3{what}")));
    }
    Ok(destination)
}

/// Fills in all defaults, and checks the whole.
fn complete(given: &Value) -> Result<Value, AwsError> {
    let conversion = given.get("DataFormatConversionConfiguration").map(|of| with_default(of, "Enabled", true.into()));
    let partitioning = given.get("DynamicPartitioningConfiguration").map(|of| {
        let retry = Value::map([("DurationInSeconds", RETRY_DEFAULT.into())]);
        with_default(&with_default(of, "RetryOptions", retry), "Enabled", false.into())
    });
    let processing = given.get("ProcessingConfiguration").map(|of| {
        let none = Value::List(Vec::new());
        with_default(&with_default(of, "Enabled", false.into()), "Processors", none)
    });
    let rearranges = [&conversion, &partitioning].into_iter().flatten().any(is_enabled);
    let backup = given.get("S3BackupConfiguration").map(|of| plain(of, SIZE_DEFAULT).map(Value::Map)).transpose()?;
    let mut members = plain(given, if rearranges { SIZE_DEFAULT_REARRANGED } else { SIZE_DEFAULT })?;
    let zone = given.text("CustomTimeZone").filter(|zone| !zone.is_empty()).unwrap_or("UTC");
    let others = Value::map([
        ("ProcessingConfiguration", processing.into()),
        ("S3BackupMode", given.text("S3BackupMode").unwrap_or("Disabled").into()),
        ("S3BackupConfiguration", backup.into()),
        ("DataFormatConversionConfiguration", conversion.into()),
        ("DynamicPartitioningConfiguration", partitioning.into()),
        ("FileExtension", given.text("FileExtension").into()),
        ("CustomTimeZone", zone.into()),
    ]);
    members.extend_from_slice(members_of(&others));
    let whole = Value::Map(members);
    check(&whole)?;
    Ok(whole)
}

/// The members of a plain destination, with their defaults.
fn plain(given: &Value, size_default: i64) -> Result<Vec<(Cow<'static, str>, Value)>, AwsError> {
    let or = |name: &str, default: Value| given.get(name).cloned().unwrap_or(default);
    let hints = match given.get("BufferingHints").map(|hints| (hints.int("SizeInMBs"), hints.int("IntervalInSeconds"))) {
        None | Some((None, None)) => (size_default, INTERVAL_DEFAULT),
        Some((Some(size), Some(interval))) => (size, interval),
        Some(_) => return Err(argument("BufferingHints takes both SizeInMBs and IntervalInSeconds, or neither of them")),
    };
    let value = Value::map([
        ("RoleARN", or("RoleARN", Value::Null)),
        ("BucketARN", or("BucketARN", Value::Null)),
        ("Prefix", or("Prefix", "".into())),
        ("ErrorOutputPrefix", or("ErrorOutputPrefix", Value::Null)),
        ("BufferingHints", Value::map([("SizeInMBs", hints.0.into()), ("IntervalInSeconds", hints.1.into())])),
        ("CompressionFormat", or("CompressionFormat", "UNCOMPRESSED".into())),
        ("EncryptionConfiguration", or("EncryptionConfiguration", Value::map([("NoEncryptionConfig", "NoEncryption".into())]))),
        ("CloudWatchLoggingOptions", or("CloudWatchLoggingOptions", Value::map([("Enabled", false.into())]))),
    ]);
    Ok(members_of(&value).to_vec())
}

fn with_default(of: &Value, name: &'static str, default: Value) -> Value {
    let mut members = members_of(of).to_vec();
    if of.get(name).is_none() {
        members.push((Cow::Borrowed(name), default));
    }
    Value::Map(members)
}

fn is_enabled(of: &Value) -> bool {
    of.flag("Enabled") == Some(true)
}

fn check(of: &Value) -> Result<(), AwsError> {
    if of.get("EncryptionConfiguration").is_some_and(|encryption| encryption.get("KMSEncryptionConfig").is_some()) {
        let way_out = "leave KMSEncryptionConfig out, and let the bucket encrypt what comes";
        return Err(argument(format!("EncryptionConfiguration: this server encrypts no objects: {way_out}")));
    }
    if let Some(backup) = of.get("S3BackupConfiguration") {
        if let Some(name) = ["RoleARN", "BucketARN"].into_iter().find(|name| backup.text(name).is_none()) {
            return Err(argument(format!("S3BackupUpdate needs {name}: there is no backup yet")));
        }
        if !prefix_keys(backup)?.is_empty() {
            return Err(argument("the Prefix of a backup takes no partition keys"));
        }
    }
    if of.text("S3BackupMode") == Some("Enabled") && of.get("S3BackupConfiguration").is_none() {
        return Err(argument("S3BackupConfiguration must be given when S3BackupMode is Enabled"));
    }
    let keys = prefix_keys(of)?;
    let extracts = check_processing(of.get("ProcessingConfiguration"))?;
    check_partitioning(of, &keys, extracts)?;
    check_conversion(of)
}

/// Checks the prefixes, and answers the partition keys in them.
fn prefix_keys(of: &Value) -> Result<Vec<&str>, AwsError> {
    prefix::check(of.text("Prefix").unwrap_or_default(), of.text("ErrorOutputPrefix"))
}

/// Checks the processors, and answers whether keys are extracted.
fn check_processing(processing: Option<&Value>) -> Result<bool, AwsError> {
    let processors = processing.filter(|of| is_enabled(of)).map_or(&[][..], |of| of.items("Processors"));
    let mut seen: Vec<&str> = Vec::new();
    for processor in processors {
        let kind = processor.text("Type").unwrap_or_default();
        let parameter = |name: &str| {
            let mut all = processor.items("Parameters").iter();
            all.find(|parameter| parameter.text("ParameterName") == Some(name))?.text("ParameterValue")
        };
        match kind {
            "AppendDelimiterToRecord" | "RecordDeAggregation" => {}
            "MetadataExtraction" => {
                if parameter("MetadataExtractionQuery").is_none() {
                    return Err(argument("MetadataExtraction needs the parameter MetadataExtractionQuery"));
                }
                if parameter("JsonParsingEngine") != Some("JQ-1.6") {
                    return Err(argument("MetadataExtraction needs the parameter JsonParsingEngine, which is JQ-1.6"));
                }
            }
            other => {
                return Err(argument(format!(
                    "the processor {other} is not served: there are AppendDelimiterToRecord, RecordDeAggregation and \
                     MetadataExtraction"
                )));
            }
        }
        if seen.contains(&kind) {
            return Err(argument(format!("the processor {kind} stands there twice")));
        }
        seen.push(kind);
    }
    Ok(seen.contains(&"MetadataExtraction"))
}

fn check_partitioning(of: &Value, keys: &[&str], extracts: bool) -> Result<(), AwsError> {
    if !of.get("DynamicPartitioningConfiguration").is_some_and(is_enabled) {
        if !keys.is_empty() {
            return Err(argument("Prefix contains partition keys, which need Dynamic Partitioning to be enabled"));
        }
        if extracts {
            return Err(argument("MetadataExtraction processor can only be present when Dynamic Partitioning is enabled."));
        }
        return Ok(());
    }
    if keys.is_empty() {
        return Err(argument(
            "Prefix must contain partition keys when Dynamic Partitioning is enabled: !{partitionKeyFromQuery:KEY}",
        ));
    }
    if !extracts {
        return Err(argument(
            "partitionKeyFromQuery needs the processor MetadataExtraction in a ProcessingConfiguration that is enabled",
        ));
    }
    check_size(of, "Dynamic Partitioning")
}

fn check_conversion(of: &Value) -> Result<(), AwsError> {
    let Some(conversion) = of.get("DataFormatConversionConfiguration").filter(|of| is_enabled(of)) else { return Ok(()) };
    let inner = |names: &[&str]| names.iter().try_fold(conversion, |value, name| value.get(name));
    for names in [&["SchemaConfiguration"][..], &["InputFormatConfiguration", "Deserializer"]] {
        if inner(names).is_none() {
            let name = names.join(".");
            return Err(argument(format!("{name} is required when data format conversion is enabled.")));
        }
    }
    if inner(&["OutputFormatConfiguration", "Serializer", "ParquetSerDe"]).is_none()
        || inner(&["OutputFormatConfiguration", "Serializer", "OrcSerDe"]).is_some()
    {
        return Err(argument("OutputFormatConfiguration.Serializer takes ParquetSerDe: other formats are not served"));
    }
    let [open_x, hive] =
        ["OpenXJsonSerDe", "HiveJsonSerDe"].map(|name| inner(&["InputFormatConfiguration", "Deserializer", name]));
    if open_x.is_some() == hive.is_some() {
        return Err(argument("InputFormatConfiguration.Deserializer takes either OpenXJsonSerDe or HiveJsonSerDe"));
    }
    if of.text("CompressionFormat") != Some("UNCOMPRESSED") {
        return Err(argument("CompressionFormat must be UNCOMPRESSED when data format conversion is enabled."));
    }
    check_size(of, "data format conversion")
}

/// Where records are rearranged, small buffers would make many small objects.
fn check_size(of: &Value, what: &str) -> Result<(), AwsError> {
    let size = of.get("BufferingHints").and_then(|hints| hints.int("SizeInMBs")).unwrap_or_default();
    if size < SIZE_MIN_REARRANGED {
        return Err(argument(format!("BufferingHints.SizeInMBs must be at least {SIZE_MIN_REARRANGED} when {what} is enabled.")));
    }
    Ok(())
}

/// How DescribeDeliveryStream shows it: the older form and the extended one.
pub(crate) fn described(of: &Value) -> Value {
    let plain = PLAIN.iter().filter_map(|name| Some((Cow::Borrowed(*name), of.get(name)?.clone())));
    let renamed = members_of(of).iter().map(|(name, value)| {
        let name = if name == "S3BackupConfiguration" { Cow::Borrowed("S3BackupDescription") } else { name.clone() };
        (name, value.clone())
    });
    Value::map([
        ("DestinationId", DESTINATION_ID.into()),
        ("S3DestinationDescription", Value::Map(plain.collect())),
        ("ExtendedS3DestinationDescription", Value::Map(renamed.collect())),
    ])
}
