-- The write ledger: what was proposed, what was executed, and the chained record of every act.
CREATE SCHEMA IF NOT EXISTS askfirst;

CREATE TABLE askfirst.proposals (
    id             text PRIMARY KEY,
    key            text NOT NULL UNIQUE,  -- run and step: the same step never proposes twice
    tool           text NOT NULL,
    arguments      json NOT NULL,         -- json, not jsonb: the digest is taken over exactly these values
    schema_version text NOT NULL,
    requester      text NOT NULL,
    thread         text NOT NULL,
    run            text NOT NULL,
    preview        text NOT NULL,
    basis          json NOT NULL,         -- the rows before and after, as the preview showed them
    digest         text NOT NULL,
    created        timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires        timestamptz NOT NULL,
    state          text NOT NULL DEFAULT 'waiting'
                   CHECK (state IN ('waiting', 'executed', 'rejected', 'expired', 'failed')),
    decided_by     text,
    decided        timestamptz,
    why            text,
    result         text,
    CHECK ((state = 'waiting') = (decided IS NULL))
);
CREATE INDEX proposals_waiting ON askfirst.proposals (expires) WHERE state = 'waiting';

-- One approval, one execution: the primary key itself refuses a second one.
CREATE TABLE askfirst.executions (
    proposal    text PRIMARY KEY REFERENCES askfirst.proposals (id),
    digest      text NOT NULL,
    approved_by text NOT NULL,
    executed    timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows        json NOT NULL
);

CREATE TABLE askfirst.audit (
    number   bigint PRIMARY KEY,
    at       timestamptz NOT NULL,
    event    text NOT NULL CHECK (event IN
             ('proposed', 'previewed again', 'approved', 'executed', 'rejected', 'failed', 'expired', 'refused')),
    proposal text NOT NULL,
    facts    json NOT NULL,
    previous text NOT NULL,
    hash     text NOT NULL
);

-- The end of the chain: locked by whoever appends, and the reason why rows removed from the end are noticed.
CREATE TABLE askfirst.audit_head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    number bigint NOT NULL,
    hash   text NOT NULL
);
INSERT INTO askfirst.audit_head (number, hash) VALUES (0, '');

CREATE FUNCTION askfirst.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'askfirst.% only grows', TG_TABLE_NAME;
END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON askfirst.audit
    FOR EACH STATEMENT EXECUTE FUNCTION askfirst.refuse_change();
CREATE TRIGGER executions_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON askfirst.executions
    FOR EACH STATEMENT EXECUTE FUNCTION askfirst.refuse_change();
