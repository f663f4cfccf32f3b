//! What a workspace has beside jobs and statements: clusters, notebooks, a warehouse, a user. There is one of each, or what the jobs make of them, so that
//! clients find what they look for before they begin.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use pinlake_core::jobs::Origin;
use serde_json::{Value, json};

use super::Door;
use super::args::{Args, short};
use super::failure::Failure;
use super::jobs::Answer;
use super::notebooks::{self, Known};
use super::shown::CLUSTER;

/// The one warehouse.
pub(super) const WAREHOUSE: &str = "w1";
/// The version of the runtime that clusters name; some clients read its first numbers.
const RUNTIME: &str = "15.4.x-scala2.12";
/// Where the workspace lists the pipeline's jobs as notebooks.
const FOLDER: &str = "/Pinlake";
const USER: &str = "pinlake";

/// `GET clusters/list`
pub(super) async fn clusters() -> Json<Value> {
    Json(json!({ "clusters": [shown_cluster(CLUSTER)] }))
}

/// `GET clusters/get`: every cluster is there and runs, because nothing depends on it.
pub(super) async fn cluster(args: Args) -> Answer {
    Ok(Json(shown_cluster(&args.fields().needed_text("cluster_id")?)))
}

/// `POST clusters/events`
pub(super) async fn cluster_events(args: Args) -> Answer {
    args.fields().needed_text("cluster_id")?;
    Ok(Json(json!({ "events": [], "total_count": 0 })))
}

/// `GET clusters/spark-versions`, with which clients test a connection.
pub(super) async fn spark_versions() -> Json<Value> {
    Json(json!({ "versions": [{ "key": RUNTIME, "name": "Pinlake" }] }))
}

/// `GET workspace/list`
pub(super) async fn list(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let path = args.fields().needed_text("path")?;
    let objects = match path.trim_end_matches('/') {
        "" => vec![object(FOLDER, "DIRECTORY", 1)],
        FOLDER => {
            let jobs = door.jobs.jobs().await?;
            let ours = jobs.iter().filter(|job| job.origin == Origin::Pipeline);
            ours.map(|job| object(&format!("{FOLDER}/{}", job.spec.name), "NOTEBOOK", job.id.saturating_add(1))).collect()
        }
        other => return Err(no_path(other)),
    };
    Ok(Json(json!({ "objects": objects })))
}

/// `GET workspace/get-status`: a notebook is there if it stands for a job.
pub(super) async fn status(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let path = args.fields().needed_text("path")?;
    match path.trim_end_matches('/') {
        "" => return Ok(Json(object("/", "DIRECTORY", 0))),
        FOLDER => return Ok(Json(object(FOLDER, "DIRECTORY", 1))),
        _ => {}
    }
    let jobs = door.jobs.jobs().await?;
    let known = Known { jobs: &jobs, rules: &door.settings.notebooks, own: None };
    let name = notebooks::job_of(&path, known).map_err(|_| no_path(&path))?;
    let id = jobs.iter().find(|job| job.spec.name == name).map_or(0, |job| job.id);
    Ok(Json(object(&path, "NOTEBOOK", id.saturating_add(1))))
}

/// `GET preview/scim/v2/Me`
pub(super) async fn me() -> Json<Value> {
    let name = json!({ "givenName": USER });
    Json(json!({ "id": "1", "userName": USER, "displayName": USER, "active": true, "name": name, "emails": [], "groups": [] }))
}

/// `GET /.well-known/databricks-config`: nothing but tokens is known here.
pub(super) async fn discovery() -> Json<Value> {
    Json(json!({}))
}

/// `GET sql/warehouses`
pub(super) async fn warehouses() -> Json<Value> {
    Json(json!({ "warehouses": [shown_warehouse()] }))
}

/// `GET sql/warehouses/{id}`
pub(super) async fn warehouse(Path(id): Path<String>) -> Answer {
    known_warehouse(&id)?;
    Ok(Json(shown_warehouse()))
}

/// `POST sql/warehouses/{id}/start`: it runs.
pub(super) async fn start_warehouse(Path(id): Path<String>) -> Answer {
    known_warehouse(&id)?;
    Ok(Json(json!({})))
}

/// Refuses a warehouse that is not there.
pub(super) fn known_warehouse(id: &str) -> Result<(), Failure> {
    if id == WAREHOUSE {
        return Ok(());
    }
    Err(Failure::unknown(format!("the SQL warehouse '{}' does not exist; there is '{WAREHOUSE}'", short(id))))
}

fn shown_cluster(id: &str) -> Value {
    json!({
        "cluster_id": id,
        "cluster_name": id,
        "state": "RUNNING",
        "state_message": "",
        "spark_version": RUNTIME,
        "num_workers": 0,
        "creator_user_name": USER,
        "cluster_source": "API",
    })
}

fn shown_warehouse() -> Value {
    json!({
        "id": WAREHOUSE,
        "name": "Pinlake",
        "state": "RUNNING",
        "cluster_size": "Small",
        "min_num_clusters": 1,
        "max_num_clusters": 1,
        "num_clusters": 1,
        "auto_stop_mins": 0,
        "creator_name": USER,
        "warehouse_type": "PRO",
        "odbc_params": { "path": format!("/sql/1.0/warehouses/{WAREHOUSE}"), "protocol": "https" },
    })
}

fn object(path: &str, kind: &str, id: i64) -> Value {
    let mut object = json!({ "path": path, "object_type": kind, "object_id": id });
    if kind == "NOTEBOOK" {
        object["language"] = "SQL".into();
    }
    object
}

fn no_path(path: &str) -> Failure {
    Failure::unknown(format!("Path ({}) doesn't exist.", short(path)))
}
