-- What the root key beside this database is known by: with another one, every
-- ticket number that a caller was told would be somebody else's, or nobody's.
CREATE TABLE root_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    known_by BLOB NOT NULL
) STRICT;
