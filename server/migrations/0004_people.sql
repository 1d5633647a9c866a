-- Imports of people. Rows of one that isn't applied mean nothing: it was cut off.
CREATE TABLE person_import (
    tenant INTEGER NOT NULL,
    import INTEGER NOT NULL,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    applied INTEGER NOT NULL,
    PRIMARY KEY (tenant, import)
) STRICT, WITHOUT ROWID;

-- People and places that were imported: personal data, in rows that can be erased. A row for a
-- version; those before the last are removed. No profile: they are gone, and their id is never given again.
CREATE TABLE person (
    tenant INTEGER NOT NULL,
    person INTEGER NOT NULL,
    version INTEGER NOT NULL,
    import INTEGER NOT NULL,
    profile TEXT,
    PRIMARY KEY (tenant, person, version)
) STRICT, WITHOUT ROWID;
