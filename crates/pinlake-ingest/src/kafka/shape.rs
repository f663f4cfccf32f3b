//! The shapes of the requests that are served, by which each is checked before the codec decodes it. They must name no API that is not served.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use pinlake_core::wire::shape::Shapes;

/// The most elements that all arrays of one request may have together.
const ELEMENTS_MAX: usize = 100_000;

pub(super) static REQUESTS: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::parse(include_str!("shape/requests.txt"), ELEMENTS_MAX).expect("the shapes are well formed"));
