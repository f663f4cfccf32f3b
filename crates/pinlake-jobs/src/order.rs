//! The order in which tasks may run. Each name is looked up once, each wait followed once: definitions hold thousands. Must not know what becomes of a task.

use std::collections::HashMap;

use pinlake_core::jobs::TaskSpec;

/// Tasks by their places, each behind those that it waits for.
pub(crate) struct Order {
    /// A task, and the tasks that it waits for. Those in a circle, and behind one, are left out.
    pub(crate) tasks: Vec<(usize, Vec<usize>)>,
    /// A task that waits for itself, over others.
    pub(crate) circle: Option<usize>,
}

impl Order {
    /// The order of tasks. Names that none of them has are waited for by nobody.
    pub(crate) fn of<'a>(tasks: impl Iterator<Item = &'a TaskSpec> + Clone) -> Self {
        let places: HashMap<&str, usize> = tasks.clone().enumerate().map(|(at, task)| (task.name.as_str(), at)).collect();
        let before = |task: &TaskSpec| task.after.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
        let mut waits: Vec<Vec<usize>> = tasks.map(before).collect();
        let mut open: Vec<usize> = waits.iter().map(Vec::len).collect();
        let mut behind: Vec<Vec<usize>> = vec![Vec::new(); waits.len()];
        for (at, before) in waits.iter().enumerate() {
            for &place in before {
                behind[place].push(at);
            }
        }
        let mut order: Vec<usize> = (0..waits.len()).filter(|&at| open[at] == 0).collect();
        let mut next = 0;
        while let Some(&done) = order.get(next) {
            next += 1;
            for &at in &behind[done] {
                open[at] -= 1;
                if open[at] == 0 {
                    order.push(at);
                }
            }
        }
        let circle = circle(&waits, &open);
        Self { tasks: order.into_iter().map(|at| (at, std::mem::take(&mut waits[at]))).collect(), circle }
    }
}

/// A task of a circle: whoever goes back from one that is still open comes by one twice.
fn circle(waits: &[Vec<usize>], open: &[usize]) -> Option<usize> {
    let mut at = open.iter().position(|&open| open > 0)?;
    let mut passed = vec![false; waits.len()];
    while !std::mem::replace(&mut passed[at], true) {
        at = *waits[at].iter().find(|&&before| open[before] > 0)?;
    }
    Some(at)
}
