//! Runs that have others run: how deep they may go, and never in a circle, whose runs would wait for each other for ever.

use pinlake_core::Result;
use pinlake_core::jobs::Run;

use crate::store::{Change, StoredJob};

/// Runs that may wait for each other, one for the next.
const DEPTH_MAX: usize = 32;

/// Why a run must not have a job run; `None` if it may.
pub(super) async fn refuses(change: &mut Change, run: &Run, job: &StoredJob) -> Result<Option<String>> {
    let mut names = vec![job.spec.name.clone(), run.name.clone()];
    let mut is_circle = run.job_id == job.id;
    let mut above = run.cause.parent.clone();
    while let (false, Some((parent, _))) = (is_circle, above) {
        if names.len() >= DEPTH_MAX {
            return Ok(Some(format!("more than {DEPTH_MAX} jobs would wait for each other: have fewer of them run others")));
        }
        let Some(parent) = change.run(parent).await? else { break };
        names.push(parent.run.name);
        is_circle = parent.run.job_id == job.id;
        above = parent.run.cause.parent;
    }
    names.reverse();
    let circle = || format!("jobs would run each other in a circle: {}", names.join(" -> "));
    Ok(is_circle.then(circle))
}
