//! What waits for what: an order, or the circle that there is instead; and the name that somebody may have meant.

/// How like a known name an unknown one must be for the known one to be named, from 0 to 1.
const LIKENESS_MIN: f64 = 0.75;

/// The numbers in an order in which each stands behind those of its list, as near to their own order as can be.
///
/// # Errors
/// The circles that there are instead: of numbers, each with the next one in its list, and the last with the first.
pub(super) fn in_order(waits_for: &[Vec<usize>]) -> Result<Vec<usize>, Vec<Vec<usize>>> {
    let mut done = vec![false; waits_for.len()];
    let (mut order, mut circles) = (Vec::new(), Vec::new());
    loop {
        while let Some(next) = (0..done.len()).find(|at| !done[*at] && waits_for[*at].iter().all(|other| done[*other])) {
            done[next] = true;
            order.push(next);
        }
        let Some(left) = done.iter().position(|done| !done) else { break };
        // Without one circle, others show.
        let circle = circle_from(left, waits_for, &done);
        circle.iter().for_each(|at| done[*at] = true);
        circles.push(circle);
    }
    if circles.is_empty() { Ok(order) } else { Err(circles) }
}

/// The circle that the way from a number that is left leads into: each that is left waits for another that is.
fn circle_from(mut at: usize, waits_for: &[Vec<usize>], done: &[bool]) -> Vec<usize> {
    let mut path = Vec::new();
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == at) {
            return path.split_off(start);
        }
        path.push(at);
        at = waits_for[at].iter().copied().find(|other| !done[*other]).unwrap_or(at);
    }
}

/// A circle in words: `a runs b runs a`.
pub(super) fn circle<'a>(names: impl Iterator<Item = &'a str> + Clone, verb: &str) -> String {
    let first = names.clone().take(1);
    names.chain(first).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(&format!(" {verb} "))
}

/// What to say of an unknown name: `: did you mean 'x'?`, or which there are.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known.clone().map(|known| (strsim::jaro_winkler(known, name), known)).max_by(|(a, _), (b, _)| a.total_cmp(b));
    match near {
        None => ": there are none".to_owned(),
        Some((likeness, near)) if likeness >= LIKENESS_MIN => format!(": did you mean '{near}'?"),
        Some(_) => {
            let some: Vec<&str> = known.clone().take(10).collect();
            let more = if known.count() > some.len() { " and more" } else { "" };
            format!(": there are {}{more}", some.join(", "))
        }
    }
}
