//! `batch` beside independent computations of the same answers.
