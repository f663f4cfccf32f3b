//! The form of v3's answers: each thing says its kind, its address and its name, and lists say what they list.

use serde_json::{Map, Value, json};

/// The one cluster, as a client reaches it.
pub(super) struct Cluster {
    pub(super) id: String,
    /// `http://HOST/v3/clusters`
    url: String,
}

impl Cluster {
    pub(super) fn new(server: &str, id: String) -> Self {
        Self { id, url: format!("{server}/v3/clusters") }
    }

    /// A thing at a path below the cluster. The path's names stand in it in pairs, as in `/topics/NAME/partitions/0`.
    pub(super) fn resource(&self, kind: &str, path: &str, fields: Value) -> Value {
        let mut resource = Map::new();
        resource.insert("kind".to_owned(), kind.into());
        let name = format!("crn:///kafka={}{}", self.id, name_of(path));
        resource.insert("metadata".to_owned(), json!({"self": self.address(path), "resource_name": name}));
        resource.insert("cluster_id".to_owned(), self.id.as_str().into());
        if let Value::Object(fields) = fields {
            resource.extend(fields);
        }
        Value::Object(resource)
    }

    /// A list at a path below the cluster, whole: there is no next page.
    pub(super) fn list(&self, kind: &str, path: &str, data: Vec<Value>) -> Value {
        list_at(kind, &self.address(path), data)
    }

    /// The list of all clusters.
    pub(super) fn list_of_all(&self, data: Vec<Value>) -> Value {
        list_at("KafkaClusterList", &self.url, data)
    }

    /// Where something else is.
    pub(super) fn related(&self, path: &str) -> Value {
        json!({"related": self.address(path)})
    }

    fn address(&self, path: &str) -> String {
        format!("{}/{}{path}", self.url, self.id)
    }
}

fn list_at(kind: &str, address: &str, data: Vec<Value>) -> Value {
    let mut list = json!({"kind": kind, "metadata": {"self": address, "next": null}});
    list["data"] = Value::Array(data);
    list
}

/// `/topics/NAME/partitions/0` is `/topic=NAME/partition=0`.
fn name_of(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut name = String::new();
    for pair in segments.chunks(2) {
        name.push('/');
        match pair {
            [of, value] => {
                name.push_str(of.strip_suffix('s').unwrap_or(of));
                name.push('=');
                name.push_str(value);
            }
            [alone] => name.push_str(alone),
            _ => {}
        }
    }
    name
}
