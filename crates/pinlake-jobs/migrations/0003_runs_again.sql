-- When somebody last had a run run again; NULL for one that has had its first time only.
ALTER TABLE run ADD COLUMN again_at BIGINT;
-- Runs of a job that wait, without those of backfills; and those of them that nobody has woken, by what holds them back.
CREATE INDEX run_own_queued ON run (job_id) WHERE state = 'queued' AND backfill IS NULL;
CREATE INDEX run_parked ON run (job_id, backfill, kind, again_at, id) WHERE state = 'queued' AND wake_at IS NULL;
