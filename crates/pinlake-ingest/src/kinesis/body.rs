//! The bodies of PutRecord and PutRecords in the gateway form, in all the spellings that clients send.

use bytes::Bytes;

use super::entry::{self, Entry, Place, StringData};
use super::error::{DoorError, Gateway};
use crate::json::{JsonError, Scanner};
use crate::records::Records;

/// Records of one PutRecords, as in Kinesis.
const RECORDS_MAX: usize = 500;

/// A body taken apart.
pub(super) struct Parsed {
    pub(super) records: Records,
    /// Records whose shard the client picks by its hash.
    pub(super) hashes: Vec<(usize, u128)>,
    /// The body's own StreamName.
    pub(super) stream: Option<String>,
}

/// Takes a body for one record (`single`) or a list of them; all or none.
pub(super) fn parse(body: &Bytes, single: bool) -> Result<Parsed, DoorError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        DoorError::gateway(Gateway::InvalidBody, format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to()))
    })?;
    let mut parsed = Parsed { records: Records::over(body.clone()), hashes: Vec::new(), stream: None };
    let mut outer = Entry::default();
    let mut list = false;
    let mut scanner = Scanner::new(text);
    let form = if single { "an object {\"Data\":...,\"PartitionKey\":...}" } else { "an object {\"Records\":[...]}" };
    scanner.object(form, |scanner, field| {
        match field {
            "records" | "Records" => {
                list = true;
                if single {
                    scanner.value()?;
                } else {
                    parsed.list(scanner)?;
                }
            }
            "StreamName" => parsed.stream = scanner.value()?.string().map(Into::into),
            field => outer.take(field, scanner.value()?),
        }
        Ok::<_, DoorError>(())
    })?;
    scanner.end()?;
    match (single, list) {
        (true, true) if outer.data.is_none() => return Err(list_for_one()),
        (true, _) => parsed.add(&outer, StringData::Literal, None)?,
        (false, false) => return Err(one_for_list(&outer)),
        (false, true) if parsed.records.is_empty() => {
            return Err(DoorError::constraint(Some("[]"), "records", "have length greater than or equal to 1"));
        }
        (false, true) => {}
    }
    Ok(parsed)
}

impl From<JsonError> for DoorError {
    fn from(error: JsonError) -> Self {
        Self::gateway(Gateway::InvalidBody, format!("the body is not the JSON expected: {error}"))
    }
}

impl Parsed {
    fn list(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DoorError> {
        // Of a repeated field the last one counts.
        self.records.clear();
        self.hashes.clear();
        scanner.list("a list of records [{\"Data\":...,\"PartitionKey\":...}]", |scanner| {
            let member = self.records.len() + 1;
            if member > RECORDS_MAX {
                return Err(DoorError::constraint(Some("[...]"), "records", "have length less than or equal to 500"));
            }
            let mut entry = Entry::default();
            scanner.object("a record {\"Data\":...,\"PartitionKey\":...}", |scanner, field| {
                entry.take(field, scanner.value()?);
                Ok::<_, DoorError>(())
            })?;
            self.add(&entry, StringData::Content, Some(member))
        })
    }

    fn add(&mut self, entry: &Entry<'_>, strings: StringData, member: Option<usize>) -> Result<(), DoorError> {
        let hash = entry::add(entry, &mut self.records, strings, Place { member })?;
        self.hashes.extend(hash.map(|hash| (self.records.len() - 1, hash)));
        Ok(())
    }
}

fn list_for_one() -> DoorError {
    DoorError::kinesis(
        "ValidationException",
        "1 validation error detected: Value null at 'data' failed to satisfy constraint: Member must not be null. This body holds a \
         list of records: send {\"Data\":{...},\"PartitionKey\":\"...\"} here, Kinesis lists to /streams/STREAM/records, and a Kafka \
         REST body {\"records\":[{\"value\":{...}}]} to POST /topics/TOPIC",
    )
}

fn one_for_list(outer: &Entry<'_>) -> DoorError {
    let hint = if outer.data.is_some() { " This is a body for one record: send it to /streams/STREAM/record." } else { "" };
    DoorError::kinesis(
        "ValidationException",
        format!(
            "1 validation error detected: Value null at 'records' failed to satisfy constraint: Member must not be null.{hint} Expected \
             {{\"StreamName\":\"...\",\"Records\":[{{\"Data\":{{...}},\"PartitionKey\":\"...\"}}]}}"
        ),
    )
}
