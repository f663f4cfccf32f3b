-- The first of a backfill's runs that wait until another ends: of these there may be thousands.
CREATE INDEX run_parked ON run (job_id, backfill, again_at, id) WHERE state = 'queued' AND wake_at IS NULL;
-- All backfills of a job, which are kept for as long as its runs are.
CREATE INDEX backfill_job ON backfill (job_id, id);
