//! Good, missing, malformed and out-of-range input for every operation of Kinesis and of Firehose, made from their tables. What is told is kept in
//! `told.txt` and `told_firehose.txt`: each text, how many cases it answers, and one of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;

/// A step to a value within an input.
#[derive(Clone, Copy)]
enum Step {
    Member(&'static str),
    First,
    Value,
}

#[test]
fn every_operation_takes_what_is_good_and_tells_what_is_not() {
    expect_file!["told.txt"].assert_eq(&told_of(&kinesis::MODEL));
    expect_file!["told_firehose.txt"].assert_eq(&told_of(&firehose::MODEL));
}

fn told_of(model: &Model) -> String {
    let mut told: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for operation in &model.operations {
        let name = operation.0.name;
        let good = structure(&operation.0);
        assert_eq!(both(operation, &good), Ok(Input(good.clone())), "{name}");
        let mut places = Vec::new();
        members(&operation.0, &mut Vec::new(), &mut places);
        for (steps, shape, required) in &places {
            for (what, bad) in bad_values(shape, *required) {
                let case = format!("{name}{} {what}", printed(steps));
                let error = both(operation, &with(good.clone(), steps, &bad)).expect_err(&case);
                let (count, _) = told.entry(text(&error)).or_insert((0, case));
                *count += 1;
            }
        }
    }
    let mut file = String::new();
    for (text, (count, case)) in told {
        writeln!(file, "{text}\n    {count}: {case}").unwrap();
    }
    file
}

#[test]
fn what_is_optional_may_be_missing() {
    for operation in kinesis::MODEL.operations.iter().chain(&firehose::MODEL.operations) {
        let required = operation.0.members.iter().filter(|member| member.required);
        let least = Value::Map(required.map(|member| (member.name.into(), good(&member.shape))).collect());
        assert_eq!(both(operation, &least), Ok(Input(least)), "{}", operation.0.name);
    }
}

/// What an input is read as, in JSON and in CBOR alike.
fn both(operation: &Operation, input: &Value) -> Result<Input, AwsError> {
    let (text, bytes) = (Bytes::from(input.to_json()), Bytes::from(input.to_cbor()));
    let read = operation.read(json(&text).unwrap());
    assert_eq!(operation.read(cbor(&bytes).unwrap()), read);
    read
}

/// The error, without the middle of what is long.
fn text(error: &AwsError) -> String {
    let message = error.message.as_ref().unwrap();
    let member = if error.capital { "Message" } else { "message" };
    let message = match message.len() {
        0..=400 => message.clone(),
        length => format!("{} ... {length} bytes ... {}", &message[..120], &message[length - 120..]),
    };
    format!("{} {member}: {}", error.kind, message.replace('\n', "\\n"))
}

fn printed(steps: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Member(name) => format!(".{name}"),
        Step::First => "[0]".to_owned(),
        Step::Value => "[key]".to_owned(),
    };
    steps.iter().map(step).collect()
}

fn structure(shape: &Structure) -> Value {
    Value::Map(shape.members.iter().map(|member| (member.name.into(), good(&member.shape))).collect())
}

fn good(shape: &Shape) -> Value {
    match shape {
        Shape::Text { pattern: Some(pattern), .. } => {
            let samples = [
                "7",
                "name",
                "abcdefghij0123456789-abc",
                "arn:aws:kinesis:us-east-1:123456789012:stream/name",
                "arn:aws:kinesis:us-east-1:123456789012:stream/name/consumer/one:1600000000",
                "arn:aws:iam::123456789012:role/name",
                "arn:aws:s3:::name",
                "arn:aws:kms:us-east-1:123456789012:key/name",
                ".json",
            ];
            let fits = samples.iter().find(|sample| pattern.is_match(sample));
            Value::from(*fits.unwrap_or_else(|| panic!("no sample fits {}", pattern.text)))
        }
        Shape::Text { .. } => "text".into(),
        Shape::Enum(values) => values[0].into(),
        Shape::Int(bounds) => Value::Int(bounds.min.unwrap_or(24)),
        Shape::Flag => true.into(),
        Shape::Time => Timestamp(1_600_000_000_007).into(),
        Shape::Blob(_) => Bytes::from_static(&[0, 255, 10]).into(),
        Shape::List { item, .. } => Value::List(vec![good(item)]),
        Shape::Map { value, .. } => Value::Map(vec![("key".into(), good(value))]),
        Shape::Structure(shape) => structure(shape),
        Shape::Other => Value::Map(Vec::new()),
    }
}

/// All places of values, whether each is required.
fn members<'a>(shape: &'a Structure, above: &mut Vec<Step>, places: &mut Vec<(Vec<Step>, &'a Shape, bool)>) {
    for member in &shape.members {
        above.push(Step::Member(member.name));
        place(&member.shape, member.required, above, places);
        above.pop();
    }
}

fn place<'a>(shape: &'a Shape, required: bool, above: &mut Vec<Step>, places: &mut Vec<(Vec<Step>, &'a Shape, bool)>) {
    places.push((above.clone(), shape, required));
    match shape {
        Shape::Structure(shape) => members(shape, above, places),
        Shape::List { item: inner, .. } | Shape::Map { value: inner, .. } => {
            above.push(if matches!(shape, Shape::List { .. }) { Step::First } else { Step::Value });
            place(inner, true, above, places);
            above.pop();
        }
        _ => {}
    }
}

fn with(value: Value, steps: &[Step], put: &Value) -> Value {
    let Some((first, rest)) = steps.split_first() else { return put.clone() };
    match (first, value) {
        (Step::Member(name), Value::Map(members)) => {
            let put = members.into_iter().map(|(found, value)| {
                let value = if found == *name { with(value, rest, put) } else { value };
                (found, value)
            });
            Value::Map(put.collect())
        }
        (Step::First, Value::List(items)) => Value::List(items.into_iter().map(|item| with(item, rest, put)).collect()),
        (Step::Value, Value::Map(members)) => {
            Value::Map(members.into_iter().map(|(name, value)| (name, with(value, rest, put))).collect())
        }
        _ => panic!("no such place"),
    }
}

/// What a place must not hold.
fn bad_values(shape: &Shape, required: bool) -> Vec<(&'static str, Value)> {
    let mut bad = malformed(shape);
    if required {
        bad.push(("null", Value::Null));
    }
    match shape {
        Shape::Text { length, pattern } => {
            bad.extend(length.max.map(|max| ("too long", "a".repeat(max as usize + 1).into())));
            bad.extend(length.min.filter(|min| *min > 0).map(|_| ("empty", "".into())));
            let unfit = |pattern: &Pattern| ["a b", "\n", "a:b"].into_iter().find(|text| !pattern.is_match(text));
            bad.extend(pattern.as_ref().and_then(unfit).map(|text| ("no match", text.into())));
        }
        Shape::Enum(_) => bad.push(("none of the set", "NONE_OF_THESE".into())),
        Shape::Int(bounds) => {
            bad.extend(bounds.max.map(|max| ("too much", Value::Int(max + 1))));
            bad.extend(bounds.min.map(|min| ("too little", Value::Int(min - 1))));
        }
        Shape::Blob(length) => {
            bad.extend(length.max.map(|max| ("too long", Bytes::from(vec![0; max as usize + 1]).into())));
        }
        Shape::List { length, item } => {
            bad.extend(length.max.map(|max| ("too long", Value::List(vec![good(item); max as usize + 1]))));
            bad.extend(length.min.filter(|min| *min > 0).map(|_| ("empty", Value::List(Vec::new()))));
        }
        Shape::Map { length, key, value } => {
            let of = |names: Vec<String>| Value::Map(names.into_iter().map(|name| (name.into(), good(value))).collect());
            bad.extend(length.max.map(|max| ("too long", of((0..=max).map(|key| format!("key{key}")).collect()))));
            bad.extend(length.min.map(|_| ("empty", of(Vec::new()))));
            bad.push(("empty key", of(vec![String::new()])));
            if let Shape::Text { length: Bounds { max: Some(max), .. }, .. } = **key {
                bad.push(("long key", of(vec!["k".repeat(max as usize + 1)])));
            }
        }
        Shape::Flag | Shape::Time | Shape::Structure(_) | Shape::Other => {}
    }
    bad
}

/// Values of other types.
fn malformed(shape: &Shape) -> Vec<(&'static str, Value)> {
    let all = [
        ("flag", Value::Bool(true)),
        ("number", Value::Int(23)),
        ("text", "23456".into()),
        ("list", Value::List(Vec::new())),
        ("structure", Value::Map(Vec::new())),
    ];
    let right: &[&str] = match shape {
        Shape::Text { .. } | Shape::Enum(_) => &["text"],
        Shape::Int(_) | Shape::Time => &["number"],
        Shape::Flag => &["flag"],
        Shape::Blob(_) => &[],
        Shape::List { .. } => &["list"],
        Shape::Map { .. } | Shape::Structure(_) | Shape::Other => &["structure"],
    };
    all.into_iter().filter(|(kind, _)| !right.contains(kind)).collect()
}
