-- What a ticket's own events tell about it, as JSON: its stage, priority, tier,
-- owner, clock. NULL: written before there was more to tell than `status`. The
-- columns `status` and `next_update` are drawn from it, for questions; `owner`
-- and `queue` are who talked last about it, and where somebody waited.
ALTER TABLE ticket ADD COLUMN work TEXT;

-- What people wrote down about tickets. May hold anything: a row can be erased,
-- and the event that refers to it stays.
CREATE TABLE note (
    tenant INTEGER NOT NULL,
    note INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (tenant, note)
) STRICT, WITHOUT ROWID;
CREATE INDEX note_ticket ON note (tenant, ticket);
