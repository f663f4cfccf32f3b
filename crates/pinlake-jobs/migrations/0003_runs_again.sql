-- When somebody last had a run run again; NULL for one that has had its first time only.
ALTER TABLE run ADD COLUMN again_at BIGINT;
-- Runs of a job in a state, without those of backfills: of these there may be thousands.
CREATE INDEX run_own ON run (state, job_id, backfill);
