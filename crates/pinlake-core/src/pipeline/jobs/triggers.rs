//! The `triggers` of a job: new data that starts it.

use super::super::tree::{Fields, Problems, Tree};
use super::rules::TRIGGERS_MAX;
use super::work::check_table;
use super::{Known, rules};
use crate::jobs::Trigger;

/// The triggers as far as they can be read.
pub(super) fn read(path: &str, tree: &Tree, known: &Known<'_>, problems: &mut Problems) -> Vec<Trigger> {
    let Some(list) = problems.list(path, tree) else { return Vec::new() };
    problems.add_all(tree.line, rules::triggers(path, list.len()));
    list.iter().take(TRIGGERS_MAX).filter_map(|tree| one(path, tree, known, problems)).collect()
}

fn one(path: &str, tree: &Tree, known: &Known<'_>, problems: &mut Problems) -> Option<Trigger> {
    let fields = problems.fields(path, tree, &["table", "rows", "topic", "records", "object"])?;
    match (fields.get("table"), fields.get("topic"), fields.get("object")) {
        (Some(table), None, None) => {
            forbid(&fields, &["records"], "a table's trigger takes 'rows'", problems);
            let line = table.line;
            let table = problems.text(&fields.path_of("table"), table)?;
            check_table(&table, line, known, problems);
            match fields.get("rows") {
                None => Some(Trigger::Version { table }),
                Some(rows) => Some(Trigger::Rows { table, rows: count(&fields.path_of("rows"), rows, problems)? }),
            }
        }
        (None, Some(topic), None) => {
            forbid(&fields, &["rows"], "a topic's trigger takes 'records'", problems);
            let line = topic.line;
            let topic = problems.text(&fields.path_of("topic"), topic)?;
            problems.add_all(line, rules::topic(&fields.path_of("topic"), &topic));
            let records = fields.need("records", problems)?;
            Some(Trigger::Records { topic, records: count(&fields.path_of("records"), records, problems)? })
        }
        (None, None, Some(object)) => {
            forbid(&fields, &["rows", "records"], "an object's trigger takes nothing else", problems);
            let line = object.line;
            let url = problems.text(&fields.path_of("object"), object)?;
            problems.add_all(line, rules::object(&fields.path_of("object"), &url));
            Some(Trigger::Object { url })
        }
        _ => {
            problems.add(tree.line, &format!("an entry of '{path}' takes one of 'table', 'topic' and 'object'"));
            None
        }
    }
}

fn forbid(fields: &Fields<'_>, keys: &[&str], message: &str, problems: &mut Problems) {
    for tree in keys.iter().filter_map(|key| fields.get(key)) {
        problems.add(tree.line, message);
    }
}

fn count(path: &str, tree: &Tree, problems: &mut Problems) -> Option<u64> {
    let count = problems.read(path, tree)?;
    problems.add_all(tree.line, rules::count(path, count));
    Some(count)
}
