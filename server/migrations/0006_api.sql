-- Who may ask the API. Of a token only its hash is kept.
CREATE TABLE api_token (
    token INTEGER PRIMARY KEY,
    -- Whose hospital it reads; nobody's in particular: the operator's, which reads all.
    tenant INTEGER,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- What was looked at and changed through the API: gapless for each tenant, and each row's hash
-- holds the hash of the row before. Ids only.
CREATE TABLE audit (
    tenant INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    token INTEGER NOT NULL,
    action TEXT NOT NULL,
    objects TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;
