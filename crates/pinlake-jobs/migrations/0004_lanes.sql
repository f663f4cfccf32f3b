-- lane: where a run under way goes, which no other of its job does; NULL where it is not under way, or began before there were lanes.
ALTER TABLE run ADD COLUMN lane BIGINT;
-- Whoever knows nothing of lanes leaves a run's where it is when that ends: it is free all the same.
CREATE UNIQUE INDEX run_lane ON run (job_id, lane) WHERE state = 'running' AND lane IS NOT NULL;
-- When the last run began, in microseconds: the next is given a larger number, whatever the clock says.
INSERT INTO counter (name, value) VALUES ('begun', 0);
