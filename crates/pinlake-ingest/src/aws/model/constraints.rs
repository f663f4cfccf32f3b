//! Which constraints of its model an input breaks, in AWS's words.

use std::fmt;

use super::{Bounds, Shape, Structure};
use crate::aws::error::{PROBLEMS_MAX, shown};
use crate::aws::value::Value;

/// All constraints that are broken, up to the number that is told.
pub(super) fn broken(shape: &Structure, value: &Value) -> Vec<String> {
    let mut problems = Problems(Vec::new());
    problems.structure(&Path::Root, shape, value);
    problems.0
}

struct Problems(Vec<String>);

impl Problems {
    fn structure(&mut self, path: &Path<'_>, shape: &Structure, value: &Value) {
        for member in &shape.members {
            if self.0.len() >= PROBLEMS_MAX {
                return;
            }
            let path = Path::Member(path, member.name);
            match value.get(member.name) {
                None if member.required => self.null(&path),
                None => {}
                Some(value) => self.value(&path, &member.shape, value),
            }
        }
    }

    fn value(&mut self, path: &Path<'_>, shape: &Shape, value: &Value) {
        for rule in rules(shape).filter(|rule| !rule.holds(value)) {
            self.add(path, shape, value, &format!("Member must {rule}"));
        }
        match (shape, value) {
            (Shape::List { item, .. }, Value::List(items)) => self.items(path, shape, item, value, items),
            (Shape::Map { key, value: of, .. }, Value::Map(members)) => {
                for (name, _) in members.iter().filter(|(_, value)| *value == Value::Null) {
                    self.null(&Path::Item(path, &shown(name)));
                }
                let keys_hold = members.iter().all(|(name, _)| length_holds(key, name.chars().count()));
                let values_hold = members.iter().all(|(_, value)| *value == Value::Null || holds(of, value));
                if !keys_hold {
                    self.add(path, shape, value, &format!("Map keys must satisfy constraint: [{}]", all_of(key)));
                }
                if !values_hold {
                    self.add(path, shape, value, &format!("Map value must satisfy constraint: [{}]", all_of(of)));
                }
            }
            (Shape::Structure(shape), value) => self.structure(path, shape, value),
            _ => {}
        }
    }

    /// Structures are looked into; of simple items it is only said what holds not for all.
    fn items(&mut self, path: &Path<'_>, shape: &Shape, item: &Shape, value: &Value, items: &[Value]) {
        for (at, value) in items.iter().enumerate() {
            if self.0.len() >= PROBLEMS_MAX {
                return;
            }
            let at = at + 1;
            match (item, value) {
                (_, Value::Null) => self.null(&Path::Item(path, &at)),
                (Shape::Structure(item), value) => self.structure(&Path::Item(path, &at), item, value),
                _ => {}
            }
        }
        if !items.iter().all(|value| *value == Value::Null || holds(item, value)) {
            self.add(path, shape, value, &format!("Member must satisfy constraint: [{}]", all_of(item)));
        }
    }

    fn add(&mut self, path: &Path<'_>, shape: &Shape, value: &Value, must: &str) {
        self.push(format!("Value '{}' at '{path}' failed to satisfy constraint: {must}", shown(&printed(shape, value))));
    }

    fn null(&mut self, path: &Path<'_>) {
        self.push(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
    }

    fn push(&mut self, problem: String) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(problem);
        }
    }
}

/// Where a value stands: `records.1.member.partitionKey`. Printed only if something is wrong there.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'static str),
    Item(&'a Path<'a>, &'a dyn fmt::Display),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(above, name) => {
                if !matches!(above, Self::Root) {
                    write!(f, "{above}.")?;
                }
                let (first, rest) = name.split_at(1);
                write!(f, "{}{rest}", first.to_ascii_lowercase())
            }
            Self::Item(above, key) => write!(f, "{above}.{key}.member"),
        }
    }
}

/// A constraint on a value by itself. Printed as what stands behind "Member must".
enum Rule<'a> {
    Pattern(&'a super::Pattern),
    LengthMin(i64),
    LengthMax(i64),
    Min(i64),
    Max(i64),
    Enum(&'a [&'static str]),
}

impl Rule<'_> {
    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Pattern(pattern), Value::Text(text)) => pattern.is_match(text),
            (Self::LengthMin(min), value) => length(value) >= *min,
            (Self::LengthMax(max), value) => length(value) <= *max,
            (Self::Min(min), Value::Int(number)) => number >= min,
            (Self::Max(max), Value::Int(number)) => number <= max,
            (Self::Enum(values), Value::Text(text)) => values.contains(&text.as_str()),
            _ => true,
        }
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "satisfy regular expression pattern: {}", pattern.text),
            Self::LengthMin(min) => write!(f, "have length greater than or equal to {min}"),
            Self::LengthMax(max) => write!(f, "have length less than or equal to {max}"),
            Self::Min(min) => write!(f, "have value greater than or equal to {min}"),
            Self::Max(max) => write!(f, "have value less than or equal to {max}"),
            Self::Enum(values) => write!(f, "satisfy enum value set: [{}]", values.join(", ")),
        }
    }
}

/// The rules of a shape in the order in which AWS tells them.
fn rules(shape: &Shape) -> impl Iterator<Item = Rule<'_>> {
    let lengths = |bounds: &Bounds| [bounds.max.map(Rule::LengthMax), bounds.min.map(Rule::LengthMin)];
    let (first, [second, third]) = match shape {
        Shape::Text { length, pattern } => (pattern.as_ref().map(Rule::Pattern), lengths(length)),
        Shape::Enum(values) => (Some(Rule::Enum(values)), [None, None]),
        Shape::Int(bounds) => (None, [bounds.max.map(Rule::Max), bounds.min.map(Rule::Min)]),
        Shape::Blob(length) | Shape::List { length, .. } | Shape::Map { length, .. } => (None, lengths(length)),
        Shape::Flag | Shape::Time | Shape::Structure(_) | Shape::Other => (None, [None, None]),
    };
    [first, second, third].into_iter().flatten()
}

fn holds(shape: &Shape, value: &Value) -> bool {
    rules(shape).all(|rule| rule.holds(value))
}

/// Whether a map's key has the length that its type allows; keys have no other constraints.
fn length_holds(shape: &Shape, length: usize) -> bool {
    let Shape::Text { length: Bounds { min, max }, .. } = shape else { return true };
    let length = length as i64;
    min.is_none_or(|min| length >= min) && max.is_none_or(|max| length <= max)
}

fn all_of(shape: &Shape) -> String {
    rules(shape).map(|rule| format!("Member must {rule}")).collect::<Vec<_>>().join(", ")
}

/// Characters of a text, bytes of a blob, items of a list, members of a map.
fn length(value: &Value) -> i64 {
    let length = match value {
        Value::Text(text) => text.chars().count(),
        Value::Blob(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(members) => members.len(),
        _ => 0,
    };
    length as i64
}

/// A value as Java prints it.
fn printed(shape: &Shape, value: &Value) -> String {
    match (shape, value) {
        (Shape::Structure(shape), _) => shape.shown.clone(),
        (Shape::List { item, .. }, Value::List(items)) => {
            format!("[{}]", items.iter().map(|value| printed(item, value)).collect::<Vec<_>>().join(", "))
        }
        (Shape::Map { value: of, .. }, Value::Map(members)) => {
            let members = members.iter().map(|(name, value)| format!("{name}={}", printed(of, value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        (_, Value::Text(text)) => text.clone(),
        (_, Value::Int(number)) => number.to_string(),
        (_, Value::Bool(flag)) => flag.to_string(),
        (_, Value::Blob(bytes)) => format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len()),
        (_, Value::Time(time)) => time.0.to_string(),
        _ => "null".to_owned(),
    }
}
