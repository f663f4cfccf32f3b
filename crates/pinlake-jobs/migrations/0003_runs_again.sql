-- When somebody last had a run run again; NULL for one that has had its first time only.
ALTER TABLE run ADD COLUMN again_at BIGINT;
