-- The log, and the projections that follow from it: the same tables as in the
-- file beside this one, where they are explained.

CREATE TABLE start (
    "only" BIGINT PRIMARY KEY CHECK ("only" = 1),
    count BIGINT NOT NULL,
    -- Transactions of all writers; see store/sql/postgres.
    written BIGINT NOT NULL DEFAULT 0
);
INSERT INTO start ("only", count) VALUES (1, 0);

CREATE TABLE tenant (
    tenant BIGINT PRIMARY KEY,
    last_seq BIGINT NOT NULL,
    next_ticket BIGINT NOT NULL
);

CREATE TABLE event (
    tenant BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    contact BIGINT,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, seq)
);

-- For every table that is append-only.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;

CREATE TRIGGER event_is_append_only_update BEFORE UPDATE ON event
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_is_append_only_delete BEFORE DELETE ON event
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_is_append_only_truncate BEFORE TRUNCATE ON event
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE contact (
    tenant BIGINT NOT NULL,
    contact BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    started_at BIGINT,
    found TEXT,
    person BIGINT,
    role TEXT,
    position TEXT NOT NULL,
    queue BIGINT,
    agent BIGINT,
    since BIGINT,
    cause TEXT,
    ticket BIGINT,
    number BIGINT,
    queued BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    abandoned BIGINT NOT NULL,
    flow_out BIGINT NOT NULL,
    system_failure BIGINT NOT NULL,
    PRIMARY KEY (tenant, contact)
);

CREATE INDEX contact_open ON contact (tenant, contact) WHERE position <> 'ended';

CREATE TABLE ticket (
    tenant BIGINT NOT NULL,
    ticket BIGINT NOT NULL,
    number BIGINT NOT NULL,
    contact BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, ticket)
);
CREATE UNIQUE INDEX ticket_number ON ticket (tenant, number);

CREATE TABLE personal (
    tenant BIGINT NOT NULL,
    contact BIGINT NOT NULL,
    dnis TEXT NOT NULL,
    ani TEXT,
    PRIMARY KEY (tenant, contact)
);
