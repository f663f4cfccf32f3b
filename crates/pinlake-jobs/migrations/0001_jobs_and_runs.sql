-- The next number of jobs, of runs and their tasks, of backfills.
CREATE TABLE counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counter (name, value) VALUES ('job', 1), ('run', 1001), ('backfill', 1), ('outbox', 1);

-- What tells this database from any other that has ever been: made when it is first opened.
CREATE TABLE installation (one BIGINT PRIMARY KEY, name TEXT NOT NULL);

-- A job. next_at: when its schedule is due; NULL where it is not. look_at: not looked at before. gone: 1 once no file defines it any more.
CREATE TABLE job (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    origin TEXT NOT NULL,
    version TEXT NOT NULL,
    definition TEXT NOT NULL,
    notes TEXT NOT NULL,
    paused BIGINT NOT NULL,
    gone BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    next_at BIGINT,
    look_at BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE INDEX job_next ON job (next_at) WHERE next_at IS NOT NULL;

-- Every definition that a job has had.
CREATE TABLE job_version (
    job_id BIGINT NOT NULL,
    version TEXT NOT NULL,
    definition TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (job_id, version)
);

-- A run: the document is the whole of it, the other columns are what is searched. once: what there may be but one run of. wake_at: when a task of it may go on,
-- or the run begin. deadline_at: when it has taken too long. changes: counts the documents, so that none is written over another.
CREATE TABLE run (
    id BIGINT PRIMARY KEY,
    job_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    ending BIGINT NOT NULL,
    once TEXT UNIQUE,
    same TEXT,
    interval_from BIGINT,
    interval_to BIGINT,
    created_at BIGINT NOT NULL,
    wake_at BIGINT,
    deadline_at BIGINT,
    backfill BIGINT,
    changes BIGINT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX run_wake ON run (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX run_deadline ON run (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX run_job ON run (job_id, id);
CREATE INDEX run_open ON run (state, job_id, id);
CREATE INDEX run_same ON run (same) WHERE same IS NOT NULL;
CREATE INDEX run_interval ON run (job_id, interval_from) WHERE interval_from IS NOT NULL;
CREATE INDEX run_backfill ON run (backfill, state) WHERE backfill IS NOT NULL;

-- A backfill: how many of its runs may be under way at once.
CREATE TABLE backfill (id BIGINT PRIMARY KEY, job_id BIGINT NOT NULL, parallel BIGINT NOT NULL, made_at BIGINT NOT NULL, request TEXT NOT NULL);

-- Which run a caller's token stands for.
CREATE TABLE token (token TEXT PRIMARY KEY, run_id BIGINT NOT NULL, made_at BIGINT NOT NULL);

-- The log of an attempt.
CREATE TABLE log_line (
    task_id BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (task_id, attempt, number)
);

-- The processes that carry out tasks, each alive up to lease_until.
CREATE TABLE process (owner TEXT PRIMARY KEY, lease_until BIGINT NOT NULL);

-- Up to where new data has started runs, for each trigger of a job.
CREATE TABLE seen (name TEXT PRIMARY KEY, value BIGINT NOT NULL, at BIGINT NOT NULL);

-- What somebody should look at, or was: one row for each thing that it is about.
CREATE TABLE alert (key TEXT PRIMARY KEY, message TEXT NOT NULL, since BIGINT NOT NULL, recovered_at BIGINT);
CREATE INDEX alert_open ON alert (recovered_at, since);

-- What is to be told to whom. parcel: what is sent together, and again as the same.
CREATE TABLE outbox (
    id BIGINT PRIMARY KEY,
    receiver TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    parcel TEXT,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL
);
CREATE INDEX outbox_receiver ON outbox (receiver, id);
