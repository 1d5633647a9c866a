-- Promises: the fold of each one's events, and for how long somebody has to look after it.
CREATE TABLE promise (
    tenant INTEGER NOT NULL,
    promise INTEGER NOT NULL,
    contact INTEGER NOT NULL,
    -- 1: not closed yet.
    owed INTEGER NOT NULL,
    due_from INTEGER NOT NULL,
    due_to INTEGER NOT NULL,
    -- What desk::PromiseFacts is as JSON: ids, times and words, nothing personal.
    facts TEXT NOT NULL,
    PRIMARY KEY (tenant, promise)
) STRICT, WITHOUT ROWID;

CREATE INDEX promise_owed ON promise (tenant, owed, due_from);

-- Whom to call. Personal: a row that can be erased; without it a person decides.
CREATE TABLE promise_number (
    tenant INTEGER NOT NULL,
    promise INTEGER NOT NULL,
    number TEXT NOT NULL,
    PRIMARY KEY (tenant, promise)
) STRICT, WITHOUT ROWID;
