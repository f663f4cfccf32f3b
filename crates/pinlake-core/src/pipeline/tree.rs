//! A YAML document as a tree that knows its lines, read value by value, so that one wrong value does not hide the others. Must
//! not know what a pipeline is.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::Problem;

/// A value and the line of its key, or of itself where it has none.
pub(super) struct Tree {
    pub(super) line: u64,
    node: Node,
}

enum Node {
    /// A mapping in the order it was written.
    Map(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Other(Value),
}

/// The entries of one mapping.
pub(super) struct Fields<'a> {
    path: String,
    line: u64,
    entries: &'a [(String, Tree)],
}

/// What was found to be wrong with one file.
pub(super) struct Problems {
    pub(super) file: &'static str,
    pub(super) found: Vec<Problem>,
}

impl Tree {
    /// The tree of a document; the error is its line and what is wrong.
    pub(super) fn parse(text: &str) -> Result<Tree, (u64, String)> {
        let node = serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            (line, error.without_snippet().to_string())
        })?;
        Ok(Tree { line: 1, node })
    }

    fn value(&self) -> Value {
        match &self.node {
            Node::Map(entries) => entries.iter().map(|(key, tree)| (key.clone(), tree.value())).collect(),
            Node::List(list) => list.iter().map(Tree::value).collect(),
            Node::Other(value) => value.clone(),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node, Node::Other(Value::Null))
    }

    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        if let Node::Other(Value::String(text)) = &self.node { Some(text) } else { None }
    }
}

impl<'a> Fields<'a> {
    /// The names and values, whatever the names.
    pub(super) fn all(&self) -> &'a [(String, Tree)] {
        self.entries
    }

    /// The value of a key, if it is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Tree> {
        let found = self.entries.iter().find(|(name, _)| name == key);
        found.map(|(_, tree)| tree).filter(|tree| !tree.is_null())
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str, problems: &mut Problems) -> Option<&'a Tree> {
        let found = self.get(key);
        if found.is_none() {
            problems.add(self.line, &format!("'{}' is missing", self.path_of(key)));
        }
        found
    }

    /// The keys from the top down to `key`, joined by points.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl Problems {
    pub(super) fn add(&mut self, line: u64, message: &str) {
        self.found.push(Problem { file: self.file.to_owned(), line, message: message.to_owned() });
    }

    pub(super) fn add_all(&mut self, line: u64, messages: impl IntoIterator<Item = String>) {
        messages.into_iter().for_each(|message| self.add(line, &message));
    }

    /// The entries of a mapping with any keys; none of null.
    pub(super) fn mapping<'a>(&mut self, path: &str, tree: &'a Tree) -> Option<Fields<'a>> {
        let entries: &[(String, Tree)] = match &tree.node {
            Node::Map(entries) => entries,
            Node::Other(Value::Null) => &[],
            Node::List(_) | Node::Other(_) => {
                let what = if path.is_empty() { "the file".to_owned() } else { format!("'{path}'") };
                self.add(tree.line, &format!("{what} takes a mapping"));
                return None;
            }
        };
        Some(Fields { path: path.to_owned(), line: tree.line, entries })
    }

    /// The entries of a mapping that takes these keys.
    pub(super) fn fields<'a>(&mut self, path: &str, tree: &'a Tree, known: &[&str]) -> Option<Fields<'a>> {
        let fields = self.mapping(path, tree)?;
        for (key, value) in fields.entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            self.add(value.line, &format!("unknown key '{}': there are {}", fields.path_of(key), known.join(", ")));
        }
        Some(fields)
    }

    /// The values of a list.
    pub(super) fn list<'a>(&mut self, path: &str, tree: &'a Tree) -> Option<&'a [Tree]> {
        if let Node::List(list) = &tree.node {
            return Some(list);
        }
        self.add(tree.line, &format!("'{path}' takes a list"));
        None
    }

    /// The value as a type.
    pub(super) fn read<T: DeserializeOwned>(&mut self, path: &str, tree: &Tree) -> Option<T> {
        let read = serde_json::from_value(tree.value());
        read.map_err(|error| self.add(tree.line, &format!("'{path}': {error}"))).ok()
    }

    /// The value as text, which is also how a number or a boolean is taken.
    pub(super) fn text(&mut self, path: &str, tree: &Tree) -> Option<String> {
        self.read(path, tree).map(|Text(text)| text)
    }

    /// The value as a list of texts.
    pub(super) fn texts(&mut self, path: &str, tree: &Tree) -> Option<Vec<String>> {
        let texts: Vec<Text> = self.read(path, tree)?;
        Some(texts.into_iter().map(|Text(text)| text).collect())
    }

    /// The value as texts by name.
    pub(super) fn texts_by_name(&mut self, path: &str, tree: &Tree) -> Option<BTreeMap<String, String>> {
        let fields = self.mapping(path, tree)?;
        let read = fields.all().iter().map(|(name, tree)| Some((name.clone(), self.text(&fields.path_of(name), tree)?)));
        // All are looked at before the first wrong one counts.
        let read: Vec<Option<(String, String)>> = read.collect();
        read.into_iter().collect()
    }
}

/// Text as YAML has it: `2024` and `yes` may be meant as such.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::Bool(truth) => Ok(Self(truth.to_string())),
            _ => Err(Error::custom("expected text")),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Other(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Other(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Other(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Other(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Other(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Other(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element::<Spanned<Node>>()? {
            values.push(Tree { line: value.referenced.line(), node: value.value });
        }
        Ok(Node::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push((key.value, Tree { line: key.referenced.line(), node }));
        }
        Ok(Node::Map(entries))
    }
}
