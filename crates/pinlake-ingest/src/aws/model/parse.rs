//! Reads a model's table.

use std::collections::HashMap;
use std::str::SplitWhitespace;
use std::sync::Arc;

use regex::bytes::RegexBuilder;

use super::{Bounds, Member, Model, Operation, Pattern, Shape, Structure};

pub(super) fn model(table: &'static str) -> Result<Model, String> {
    let mut reader = Reader::default();
    for (at, line) in table.lines().enumerate() {
        // Patterns have such signs too, but no spaces.
        let line = if line.starts_with('#') { "" } else { line.split_once(" #").map_or(line, |(before, _)| before) };
        reader.line(line).map_err(|problem| format!("line {}: {problem}", at + 1))?;
    }
    reader.end_of_structure();
    Ok(Model { operations: reader.operations })
}

#[derive(Default)]
struct Reader {
    package: &'static str,
    types: HashMap<&'static str, Arc<Shape>>,
    operations: Vec<Operation>,
    /// The structure whose members come, and whether it is an operation.
    open: Option<(Structure, bool)>,
}

impl Reader {
    fn line(&mut self, line: &'static str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { return Ok(()) };
        if line.starts_with(' ') {
            return self.member(first, words);
        }
        self.end_of_structure();
        let name = next(&mut words)?;
        let shape = match first {
            "package" => {
                self.package = name;
                return Ok(());
            }
            "struct" | "operation" => {
                let structure = Structure { name, shown: format!("{}.{name}@2", self.package), members: Vec::new() };
                self.open = Some((structure, first == "operation"));
                return Ok(());
            }
            "text" => Shape::Text { length: bounds(words.next())?, pattern: words.next().map(pattern).transpose()? },
            "enum" => Shape::Enum(words.by_ref().collect()),
            "int" => Shape::Int(bounds(words.next())?),
            "flag" => Shape::Flag,
            "other" => Shape::Other,
            "time" => Shape::Time,
            "blob" => Shape::Blob(bounds(words.next())?),
            "list" => Shape::List { length: bounds(words.next())?, item: self.named(next(&mut words)?)? },
            "map" => Shape::Map {
                length: bounds(words.next())?,
                key: self.named(next(&mut words)?)?,
                value: self.named(next(&mut words)?)?,
            },
            other => return Err(format!("there is no kind '{other}'")),
        };
        self.types.insert(name, Arc::new(shape));
        words.next().map_or(Ok(()), |more| Err(format!("'{more}' is too much")))
    }

    fn member(&mut self, first: &'static str, mut words: SplitWhitespace<'static>) -> Result<(), String> {
        let marked = matches!(first, "*" | "+" | "-");
        let name = if marked { next(&mut words)? } else { first };
        let shape = self.named(words.next().unwrap_or(name))?;
        let (structure, _) = self.open.as_mut().ok_or("a member needs its struct or operation before it")?;
        let member = Member { name, shape, required: matches!(first, "*" | "+"), as_aws: !matches!(first, "+" | "-") };
        structure.members.push(member);
        Ok(())
    }

    fn named(&self, name: &str) -> Result<Arc<Shape>, String> {
        self.types.get(name).cloned().ok_or_else(|| format!("no type '{name}' is stated before"))
    }

    fn end_of_structure(&mut self) {
        match self.open.take() {
            Some((structure, true)) => self.operations.push(Operation(structure)),
            Some((structure, false)) => {
                self.types.insert(structure.name, Arc::new(Shape::Structure(structure)));
            }
            None => {}
        }
    }
}

fn next(words: &mut SplitWhitespace<'static>) -> Result<&'static str, String> {
    words.next().ok_or_else(|| "a word is missing at the end".to_owned())
}

fn bounds(word: Option<&str>) -> Result<Bounds, String> {
    let word = word.unwrap_or("..");
    let (min, max) = word.split_once("..").ok_or_else(|| format!("'{word}' is no MIN..MAX"))?;
    let number = |text: &str| {
        let parsed = (!text.is_empty()).then(|| text.parse::<i64>());
        parsed.transpose().map_err(|_| format!("'{text}' is no number"))
    };
    Ok(Bounds { min: number(min)?, max: number(max)? })
}

/// A pattern as Java matches it: ASCII classes unless it names some of Unicode's, and the whole value.
fn pattern(text: &'static str) -> Result<Pattern, String> {
    let build = |pattern: &str| {
        let regex = RegexBuilder::new(pattern).unicode(text.contains(r"\p{")).build();
        regex.map_err(|error| format!("'{text}' is no pattern: {error}"))
    };
    match text.strip_prefix("^(?!").and_then(|rest| rest.split_once(')')) {
        Some((unless, rest)) => {
            Ok(Pattern { text, regex: build(&format!("^(?:{rest})$"))?, unless: Some(build(&format!("^(?:{unless})"))?) })
        }
        None => Ok(Pattern { text, regex: build(&format!("^(?:{text})$"))?, unless: None }),
    }
}
