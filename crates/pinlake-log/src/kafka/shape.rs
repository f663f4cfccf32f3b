//! The shapes of the answers that brokers give, by which each is checked before the codec decodes it. They must name no API that is not spoken.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use pinlake_core::wire::shape::Shapes;

/// The bytes of an answer are bounded, and all of its elements must be there.
const ELEMENTS_MAX: usize = usize::MAX;

pub(super) static ANSWERS: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::parse(include_str!("shape/answers.txt"), ELEMENTS_MAX).expect("the shapes are well formed"));
