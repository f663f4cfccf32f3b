//! OpenLineage events of tasks, after version 2-0-2 of its specification (openlineage.io): START when an attempt begins, COMPLETE, FAIL or ABORT when it ends.

use std::collections::BTreeMap;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{EndReason, PARENT_NOTE, Run, TaskState, Work};
use pinlake_core::secret::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::outbox::{Receiver, Way};

/// The name of the receiver among the others.
const RECEIVER: &str = "openlineage";
const PRODUCER: &str = "https://github.com/pinlake/pinlake";
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const PARENT_SCHEMA: &str = "https://openlineage.io/spec/facets/1-0-1/ParentRunFacet.json#/$defs/ParentRunFacet";
const ERROR_SCHEMA: &str = "https://openlineage.io/spec/facets/1-0-0/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet";
/// What the ids of runs are derived from, so that they are the same each time.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0x6b1f_0c57_93a2_4f1e_8f3d_70a5_51d2_9c44);

/// Who is told where data came from and went.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// The server: events go to `/api/v1/lineage` below.
    pub url: Secret,
    /// What is sent as a bearer token.
    pub token: Option<Secret>,
    /// The namespace of jobs and tables.
    pub namespace: String,
}

impl Lineage {
    /// Who gets the events.
    pub(crate) fn receiver(&self) -> Receiver {
        Receiver { name: RECEIVER.to_owned(), way: Way::Lineage { url: self.url.clone(), token: self.token.clone() } }
    }

    /// The receiver's name.
    pub(crate) fn name() -> &'static str {
        RECEIVER
    }

    /// The event of a task's last attempt, which began or ended.
    pub(crate) fn event(&self, installation: &str, run: &Run, place: usize, at: Timestamp) -> Option<Value> {
        let task = &run.tasks[place];
        let attempt = task.last()?;
        let kind = match (task.state, attempt.reason) {
            (TaskState::Running, _) => "START",
            (_, None) => "COMPLETE",
            (_, Some(EndReason::Cancelled | EndReason::LostProcess)) => "ABORT",
            (_, Some(_)) => "FAIL",
        };
        // Numbers of runs are given out again where the database is put back to what it was.
        let begun = run.lane.map(|lane| format!("{}/", lane.begun)).unwrap_or_default();
        let id = |name: String| uuid_of(&format!("{installation}/{begun}{name}"));
        let own = || Parent {
            namespace: self.namespace.clone(),
            name: run.name.clone(),
            run_id: id(format!("{}/{}", run.id, run.generation)),
        };
        let Parent { namespace, name, run_id } = Parent::given(&run.notes).unwrap_or_else(own);
        let mut facets = json!({ "parent": {
            "_producer": PRODUCER, "_schemaURL": PARENT_SCHEMA,
            "run": { "runId": run_id }, "job": { "namespace": namespace, "name": name },
        }});
        if kind == "FAIL" {
            facets["errorMessage"] = json!({
                "_producer": PRODUCER, "_schemaURL": ERROR_SCHEMA, "message": attempt.message, "programmingLanguage": "SQL",
            });
        }
        let (inputs, outputs) = datasets(&task.spec.work);
        let set = |names: Vec<String>| -> Vec<Value> {
            names.into_iter().map(|name| json!({ "namespace": self.namespace, "name": name })).collect()
        };
        Some(json!({
            "eventType": kind, "eventTime": crate::schedule::shown(at), "producer": PRODUCER, "schemaURL": SCHEMA,
            "run": { "runId": id(format!("{}/{}", task.id, attempt.number)), "facets": facets },
            "job": { "namespace": self.namespace, "name": format!("{}.{}", run.name, task.spec.name) },
            "inputs": set(inputs), "outputs": set(outputs),
        }))
    }
}

/// What a task is a part of, where somebody else's lineage knows that.
#[derive(Deserialize)]
struct Parent {
    namespace: String,
    name: String,
    run_id: String,
}

impl Parent {
    /// What was given with a run, if it is complete and can be named in an event.
    fn given(notes: &BTreeMap<String, String>) -> Option<Self> {
        let given: Self = serde_json::from_str(notes.get(PARENT_NOTE)?).ok()?;
        uuid::Uuid::parse_str(&given.run_id).is_ok().then_some(given)
    }
}

/// The notes of a run that those have too which it has run.
pub(crate) fn handed_on(notes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    notes.get_key_value(PARENT_NOTE).map(|(name, note)| (name.clone(), note.clone())).into_iter().collect()
}

/// A UUID of version 5, after RFC 9562: the same for the same name.
fn uuid_of(name: &str) -> String {
    let named = [NAMESPACE.as_bytes(), name.as_bytes()].concat();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &named);
    let bytes = digest.as_ref().first_chunk().copied().unwrap_or_default();
    uuid::Builder::from_sha1_bytes(bytes).into_uuid().to_string()
}

/// What a task reads and writes, as far as its definition says.
fn datasets(work: &Work) -> (Vec<String>, Vec<String>) {
    let raw = |tables: &[String]| tables.iter().map(|table| format!("raw.{table}")).collect();
    match work {
        Work::Rebuild { tables } => (raw(tables), tables.clone()),
        Work::Compact { tables } | Work::Vacuum { tables, .. } => (tables.clone(), tables.clone()),
        Work::Questions { names } => (
            names.iter().map(|name| format!("question.{name}")).collect(),
            names.iter().map(|name| format!("gold.{name}")).collect(),
        ),
        Work::Sql { into, .. } => (Vec::new(), into.iter().map(|name| format!("gold.{name}")).collect()),
        _ => (Vec::new(), Vec::new()),
    }
}
