-- ended_at: when the run ended, of those that have; they are kept for a time from then on. held: the attempts that processes carry out, each as OWNER/TASK/NUMBER,
-- apart by blanks; NULL where there are none.
ALTER TABLE run ADD COLUMN ended_at BIGINT;
ALTER TABLE run ADD COLUMN held TEXT;
UPDATE run SET ended_at = created_at WHERE state IN ('succeeded', 'failed');
CREATE INDEX run_ended ON run (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX run_held ON run (id) WHERE held IS NOT NULL;
CREATE INDEX run_created ON run (created_at);
CREATE INDEX token_run ON token (run_id);
