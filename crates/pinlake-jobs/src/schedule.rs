//! Times at which a job runs: cron patterns and spans, in a time zone.
