//! Gives the values of a body the types of their members, or says, in AWS's words, which has another.

use std::borrow::Cow;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};

use pinlake_core::Timestamp;

use super::{Shape, Structure};
use crate::aws::error::{AwsError, shown};
use crate::aws::read::Node;
use crate::aws::value::Value;

/// Reads a structure: its members in the model's order, without those that are null. Of members that are there twice, the last counts.
pub(super) fn structure(shape: &Structure, node: Node<'_>) -> Result<Value, AwsError> {
    let mut sent = match node {
        Node::Map(members) => members,
        Node::List(_) => return Err(mismatch(&node, "")),
        _ => return Err(AwsError::serialization("Expected null")),
    };
    let mut members = Vec::with_capacity(sent.len().min(shape.members.len()));
    for member in &shape.members {
        let found = sent.iter_mut().rev().find(|(name, _)| name == member.name);
        let Some((_, node)) = found else { continue };
        let value = typed(&member.shape, std::mem::replace(node, Node::Null))?;
        if value != Value::Null {
            members.push((Cow::Borrowed(member.name), value));
        }
    }
    Ok(Value::Map(members))
}

fn typed(shape: &Shape, node: Node<'_>) -> Result<Value, AwsError> {
    match (shape, node) {
        (_, Node::Null) => Ok(Value::Null),
        (Shape::Text { .. } | Shape::Enum(_), node) => text(node),
        (Shape::Int(_), node) => int(&node),
        (Shape::Flag, node) => flag(&node),
        (Shape::Time, node) => time(&node),
        (Shape::Blob(_), node) => blob(node),
        (Shape::List { item, .. }, Node::List(items)) => {
            let items = items.into_iter().map(|node| typed(item, node));
            items.collect::<Result<_, _>>().map(Value::List)
        }
        (Shape::List { .. }, node @ Node::Map(_)) => Err(mismatch(&node, "")),
        (Shape::List { .. }, _) => Err(AwsError::serialization("Expected list or null")),
        (Shape::Map { value, .. }, Node::Map(members)) => map(value, members),
        (Shape::Map { .. }, node @ Node::List(_)) => Err(mismatch(&node, "")),
        (Shape::Map { .. }, _) => Err(AwsError::serialization("Expected map or null")),
        (Shape::Structure(shape), node) => structure(shape, node),
        (Shape::Other, Node::Map(_)) => Ok(Value::Map(Vec::new())),
        (Shape::Other, node @ Node::List(_)) => Err(mismatch(&node, "")),
        (Shape::Other, _) => Err(AwsError::serialization("Expected null")),
    }
}

fn text(node: Node<'_>) -> Result<Value, AwsError> {
    if let Node::Text(text) = node { Ok(Value::Text(text.into_owned())) } else { Err(mismatch(&node, "an String")) }
}

/// Numbers are cut to whole ones, and to the 32 bits that the services' numbers have.
fn int(node: &Node<'_>) -> Result<Value, AwsError> {
    match node {
        Node::Int(number) => Ok(Value::Int((*number).clamp(i32::MIN.into(), i32::MAX.into()))),
        Node::Float(number) => Ok(Value::Int((*number as i32).into())),
        other => Err(mismatch(other, "an Integer")),
    }
}

fn flag(node: &Node<'_>) -> Result<Value, AwsError> {
    match node {
        Node::Bool(flag) => Ok(Value::Bool(*flag)),
        Node::Text(text) => match text.to_uppercase().as_str() {
            "TRUE" | "YES" | "1" => Ok(Value::Bool(true)),
            "FALSE" | "NO" | "0" => Ok(Value::Bool(false)),
            other => Err(AwsError::serialization(format!("'{}' can not be converted to an Boolean", shown(other)))),
        },
        other => Err(mismatch(other, "an Boolean")),
    }
}

/// JSON has seconds; CBOR has tagged milliseconds, and whole numbers without a tag in the unit of JSON.
fn time(node: &Node<'_>) -> Result<Value, AwsError> {
    let ms = match node {
        Node::Time(ms) => *ms,
        Node::Int(seconds) => *seconds as f64 * 1000.0,
        Node::Float(seconds) => seconds * 1000.0,
        other => return Err(mismatch(other, "milliseconds since epoch")),
    };
    Ok(Value::Time(Timestamp(ms.round() as i64)))
}

/// Bytes in CBOR, base64 in JSON.
fn blob(node: Node<'_>) -> Result<Value, AwsError> {
    let text = match node {
        Node::Blob(bytes) => return Ok(Value::Blob(bytes)),
        Node::Text(text) => text,
        other => return Err(mismatch(&other, "a Blob")),
    };
    decode(&text)
        .map(|bytes| Value::Blob(bytes.into()))
        .map_err(|why| AwsError::serialization(format!("'{}' can not be converted to a Blob: {why}", shown(&text))))
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(4) {
        return Err(format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len()));
    }
    match STANDARD.decode(text) {
        Ok(bytes) => Ok(bytes),
        Err(DecodeError::InvalidByte(at, byte)) => {
            let found = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(char::from(byte));
            Err(format!("Invalid Base64 character: '{found}'"))
        }
        // Spelled as AWS does.
        Err(_) => Err("Invalid last non-pad Base64 character dectected".to_owned()),
    }
}

fn map(shape: &Shape, sent: Vec<(Cow<'_, str>, Node<'_>)>) -> Result<Value, AwsError> {
    let members = sent.into_iter().map(|(name, node)| Ok((Cow::Owned(name.into_owned()), typed(shape, node)?)));
    let members: Vec<(Cow<'static, str>, Value)> = members.collect::<Result<_, AwsError>>()?;
    Ok(Value::Map(last_of_each(members)))
}

/// Without the members that come again.
fn last_of_each(mut members: Vec<(Cow<'static, str>, Value)>) -> Vec<(Cow<'static, str>, Value)> {
    let mut seen = std::collections::HashSet::new();
    let keep: Vec<bool> = members.iter().rev().map(|(name, _)| seen.insert(name.clone())).collect();
    let mut keep = keep.into_iter().rev();
    members.retain(|_| keep.next().unwrap_or(true));
    members
}

/// A value of a type that its member has not; `to` is that type as AWS calls it.
fn mismatch(node: &Node<'_>, to: &str) -> AwsError {
    let class = match node {
        Node::List(_) => return AwsError::serialization("Start of list found where not expected"),
        Node::Map(_) => return AwsError::serialization("Start of structure or map found where not expected."),
        Node::Bool(_) => "java.lang.Boolean",
        Node::Int(_) | Node::Float(_) => "com.amazon.coral.value.json.numbers.TruncatingBigNumber",
        Node::Blob(_) => "java.nio.HeapByteBuffer",
        Node::Time(_) => "java.util.Date",
        Node::Text(_) | Node::Null => "java.lang.String",
    };
    AwsError::serialization(format!("class {class} can not be converted to {to}"))
}
