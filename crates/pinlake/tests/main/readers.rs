//! Readers that nobody here wrote open the tables.
