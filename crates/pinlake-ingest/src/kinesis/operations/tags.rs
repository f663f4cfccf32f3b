//! Tags of streams and consumers.

use std::collections::BTreeMap;

use pinlake_core::Timestamp;

use super::{Context, check_settled};
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::kinesis::names::{self, Resource};
use crate::kinesis::streams::changes::Found;
use crate::kinesis::streams::state::Stream;
use crate::kinesis::wording::{Words, argument};

/// Tags of one ListTagsForStream, unless asked for fewer.
const LIST_MAX: usize = 50;

type Tags = BTreeMap<String, String>;

/// The tags that a call brings.
pub(super) fn given(input: &Value) -> Tags {
    let text = |value: &Value| value.as_text().unwrap_or_default().to_owned();
    input.members("Tags").iter().map(|(key, value)| (key.clone().into_owned(), text(value))).collect()
}

/// The keys of tags that a call names.
fn keys(input: &Value) -> Vec<String> {
    input.items("TagKeys").iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// Refuses tags that can't be added to those that are there. AWS has two texts for characters: one counts `%` among the legal ones.
pub(super) fn check(words: &Words, stream: &str, there: &Tags, new: &Tags, most: usize) -> Result<(), AwsError> {
    let texts: Vec<&str> = new.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]).collect();
    check_characters(words, stream, "add tags to", &texts)?;
    let count = there.len() + new.keys().filter(|key| !there.contains_key(*key)).count();
    if count > most {
        let why = format!("a given stream cannot have more than {most} tags associated with it.");
        return Err(words.bad_tags("add tags to", stream, &why));
    }
    Ok(())
}

fn check_characters(words: &Words, stream: &str, what: &str, texts: &[&str]) -> Result<(), AwsError> {
    let is_legal = |char: char| {
        char.is_ascii_alphanumeric()
            || "_./-=+ @%:".contains(char)
            || ('\u{c0}'..='\u{1fff}').contains(&char)
            || ('\u{2c00}'..='\u{d7ff}').contains(&char)
    };
    if !texts.iter().all(|text| text.chars().all(is_legal)) {
        return Err(argument(
            "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @ :.",
        ));
    }
    if texts.iter().any(|text| text.contains('%')) {
        let why = "some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, \
                   '_',',','/','=','+','-','@',':'.";
        return Err(words.bad_tags(what, stream, why));
    }
    Ok(())
}

pub(super) async fn add_to_stream(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    change(context, Resource::of_stream(&context.words, &context.name(input)?), Change::Add(given(input))).await
}

pub(super) async fn remove_from_stream(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    change(context, Resource::of_stream(&context.words, &context.name(input)?), Change::Remove(keys(input))).await
}

pub(super) async fn add(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    change(context, target(input)?, Change::Add(given(input))).await
}

pub(super) async fn remove(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    change(context, target(input)?, Change::Remove(keys(input))).await
}

/// What a call is about that names a `ResourceARN`.
pub(super) fn target(input: &Value) -> Result<Resource, AwsError> {
    names::resource(input.text("ResourceARN").unwrap_or_default())
}

enum Change {
    Add(Tags),
    Remove(Vec<String>),
}

async fn change(context: &Context<'_>, of: Resource, change: Change) -> Result<Value, AwsError> {
    let (words, most) = (context.words.clone(), context.settings().tags_max);
    let name = context.stream(&of)?;
    let done = context.place().change(name, move |found, stream, now| {
        check_settled(&words, found, now)?;
        let tags = tags_of(&words, stream, &of, now)?;
        match change {
            Change::Add(new) => {
                check(&words, &of.stream, tags, &new, most)?;
                tags.extend(new);
            }
            Change::Remove(keys) => {
                let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
                check_characters(&words, &of.stream, "remove tags from", &texts)?;
                tags.retain(|key, _| !keys.contains(key));
            }
        }
        Ok(())
    });
    done.await.map(|()| Value::Null)
}

/// The tags of a stream, or of one of its consumers.
fn tags_of<'a>(words: &Words, stream: &'a mut Stream, of: &Resource, now: Timestamp) -> Result<&'a mut Tags, AwsError> {
    if of.consumer.is_none() {
        return Ok(&mut stream.tags);
    }
    let at = super::consumers::position(words, stream, of, now)?;
    Ok(&mut stream.consumers[at].tags)
}

pub(super) async fn list_of_stream(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let found = context.find(input).await?;
    let after = input.text("ExclusiveStartTagKey");
    let most = input.int("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIST_MAX);
    let mut behind = found.stream.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let page: Vec<Value> = behind.by_ref().take(most).map(shown).collect();
    Ok(Value::map([("Tags", page.into()), ("HasMoreTags", behind.next().is_some().into())]))
}

pub(super) async fn list(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let of = target(input)?;
    let Found { stream, .. } = context.place().find(&context.stream(&of)?).await?;
    let tags = match of.consumer {
        None => &stream.tags,
        Some(_) => &stream.consumers[super::consumers::position(&context.words, &stream, &of, context.now())?].tags,
    };
    Ok(Value::map([("Tags", Value::List(tags.iter().map(shown).collect()))]))
}

fn shown((key, value): (&String, &String)) -> Value {
    Value::map([("Key", key.as_str().into()), ("Value", value.as_str().into())])
}
