//! The built-in cleanings on the values of the classic pipeline, and what a cleaning may not do.
