//! One value of one setting: whether it is of the type, and what else is asked of it. The words are Connect's where it has any.

use crate::connect::NAME_LEN_MAX;
use crate::connect::setting::{Check, Fallback, Setting, Type};
use crate::place;

/// The longest value that is repeated in an error, characters.
const SHOWN_MAX: usize = 200;
/// Classes that are known elsewhere and not here, by the ends of their names, and what to use instead.
const NOT_HERE: [(&str, &str); 6] = [
    ("AvroFormat", "Avro is not written here: use JsonFormat or ParquetFormat"),
    ("AvroConverter", "Avro is not read here: use JsonConverter, StringConverter or ByteArrayConverter"),
    ("ProtobufConverter", "Protobuf is not read here: use JsonConverter, StringConverter or ByteArrayConverter"),
    (
        "JsonSchemaConverter",
        "JSON of a schema registry is not read here: use JsonConverter, StringConverter or ByteArrayConverter",
    ),
    ("FieldAndTimeBasedPartitioner", "it is not served here: use FieldPartitioner or TimeBasedPartitioner"),
    ("CredentialsProvider", "other providers of keys are not served here: take it out, or set aws.access.key.id"),
];

/// An error about a value, as Connect words it.
pub(super) fn invalid(name: &str, value: Option<&str>, why: &str) -> String {
    let shown: String = value.unwrap_or("null").chars().take(SHOWN_MAX).collect();
    format!("Invalid value {shown} for configuration {name}: {why}")
}

/// What is wrong with a value, which has no blanks around it.
pub(super) fn error(setting: &Setting, value: &str, is_given: bool) -> Option<String> {
    if let Some(why) = wrong_type(setting.kind, value) {
        return Some(why);
    }
    if let Some(why) = setting.refusal.filter(|_| is_refused(setting, value)) {
        return Some(why.to_owned());
    }
    // A default may be one that is known elsewhere only; whoever needs it looks again.
    if is_given { check(setting.check, value) } else { None }
}

fn is_refused(setting: &Setting, value: &str) -> bool {
    match setting.default {
        Fallback::Is(default) => !value.eq_ignore_ascii_case(default),
        Fallback::Null => !value.is_empty(),
        Fallback::Required => false,
    }
}

fn wrong_type(kind: Type, value: &str) -> Option<String> {
    let is_good = match kind {
        Type::Boolean if !["true", "false"].iter().any(|is| value.eq_ignore_ascii_case(is)) => {
            return Some("Expected value to be either true or false".to_owned());
        }
        Type::Int => value.parse::<i32>().is_ok(),
        Type::Long => value.parse::<i64>().is_ok(),
        Type::Boolean | Type::String | Type::List | Type::Class | Type::Password => true,
    };
    (!is_good).then(|| format!("Not a number of type {}", kind.as_str()))
}

fn check(check: Check, value: &str) -> Option<String> {
    let number = || value.parse::<i64>().unwrap_or_default();
    match check {
        Check::Nothing => None,
        Check::AtLeast(least) | Check::Between(least, _) if number() < least => Some(format!("Value must be at least {least}")),
        Check::Between(_, most) if number() > most => Some(format!("Value must be no more than {most}")),
        Check::AtLeast(_) | Check::Between(..) => None,
        Check::OneOf(values) => (!values.contains(&value)).then(|| format!("String must be one of: {}", values.join(", "))),
        Check::OneOfAnyCase(values) => {
            let is_one = values.iter().any(|one| one.eq_ignore_ascii_case(value));
            (!is_one).then(|| format!("String must be one of (case insensitive): {}", values.join(", ")))
        }
        Check::Name => name(value),
        Check::Region => {
            let is_one = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (!is_one).then(|| "Value must be the name of a region, such as us-east-1".to_owned())
        }
        Check::Zone => {
            let error = (!value.is_empty()).then(|| place::zone(value).err()).flatten();
            error.map(|error| error.message().to_owned())
        }
        Check::Class(classes) => class(classes, value),
    }
}

fn name(value: &str) -> Option<String> {
    if value.is_empty() {
        return Some("String may not be empty".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Some("String may not contain control sequences".to_owned());
    }
    (value.len() > NAME_LEN_MAX).then(|| format!("it has {} bytes, {NAME_LEN_MAX} are the most", value.len()))
}

fn class(classes: &[&str], value: &str) -> Option<String> {
    let is_one = |class: &&str| *class == value || class.rsplit('.').next() == Some(value);
    if classes.iter().any(is_one) {
        return None;
    }
    let known = NOT_HERE.iter().find(|(end, _)| value.ends_with(end));
    Some(known.map_or_else(|| format!("Class {value} could not be found."), |(_, why)| (*why).to_owned()))
}
