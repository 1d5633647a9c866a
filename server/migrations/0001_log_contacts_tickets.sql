-- The log, and the projections that follow from it.
--
-- Times are Unix milliseconds. Tables keyed by tenant first are clustered by
-- that key, so that one tenant's rows lie together.

-- How often this database was opened: makes ids unique across restarts.
CREATE TABLE start (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO start (only, count) VALUES (1, 0);

-- The counter row under which a tenant's sequence numbers are given.
CREATE TABLE tenant (
    tenant INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    next_ticket INTEGER NOT NULL
) STRICT;

-- What happened; append-only. Ids, enums, times and numbers only.
CREATE TABLE event (
    tenant INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    contact INTEGER,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_is_append_only_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER event_is_append_only_delete BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- A contact's state: the fold of its events. They lie between first_seq and
-- last_seq, so that no index over the log is needed to find them.
CREATE TABLE contact (
    tenant INTEGER NOT NULL,
    contact INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    started_at INTEGER,
    found TEXT,
    person INTEGER,
    role TEXT,
    position TEXT NOT NULL,
    queue INTEGER,
    -- Whom it is with, or who is called for it: an agent, or, by position, a partner.
    agent INTEGER,
    since INTEGER,
    cause TEXT,
    ticket INTEGER,
    number INTEGER,
    queued INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    flow_out INTEGER NOT NULL,
    system_failure INTEGER NOT NULL,
    PRIMARY KEY (tenant, contact)
) STRICT, WITHOUT ROWID;

-- Few rows at any time: what a crash leaves open.
CREATE INDEX contact_open ON contact (tenant, contact) WHERE position <> 'ended';

CREATE TABLE ticket (
    tenant INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    number INTEGER NOT NULL,
    contact INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, ticket)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ticket_number ON ticket (tenant, number);

-- Personal data, erasable without touching the log.
CREATE TABLE personal (
    tenant INTEGER NOT NULL,
    contact INTEGER NOT NULL,
    dnis TEXT NOT NULL,
    ani TEXT,
    PRIMARY KEY (tenant, contact)
) STRICT, WITHOUT ROWID;
