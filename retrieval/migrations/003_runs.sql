-- One row for each question asked: its thread and its answer. The steps of a run in progress are LangGraph's checkpoints.
CREATE TABLE askfirst.runs (
    id         text PRIMARY KEY,
    thread     text NOT NULL,
    question   text NOT NULL,
    collection text NOT NULL,
    status     text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'answered', 'refused', 'waiting', 'limited')),
    answer     jsonb,
    started    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended      timestamptz
);
CREATE INDEX runs_of_a_thread ON askfirst.runs (thread, started);
