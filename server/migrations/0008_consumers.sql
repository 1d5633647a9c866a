-- How far whoever is told a hospital's log has been told it.
CREATE TABLE consumer (
    tenant INTEGER NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- What a ticket is called there.
CREATE TABLE known_as (
    tenant INTEGER NOT NULL,
    consumer TEXT NOT NULL,
    ticket INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, consumer, ticket)
) STRICT, WITHOUT ROWID;
