-- How far whoever is told a hospital's log has been told it.
CREATE TABLE consumer (
    tenant INTEGER NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
