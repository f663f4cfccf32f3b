//! Definitions, and what they make of records.
