-- Incidents: the fold of each one's events, what is said of it, what is about it, and who is told of its end.
CREATE TABLE incident (
    tenant INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    -- 1: not closed yet.
    live INTEGER NOT NULL,
    -- What desk::IncidentFacts is as JSON: ids, times and words, nothing personal.
    facts TEXT NOT NULL,
    PRIMARY KEY (tenant, incident)
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_live ON incident (tenant, live);

-- What is said of it, desk::IncidentText as JSON. Somebody wrote it: a row that can be erased.
CREATE TABLE incident_text (
    tenant INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    language TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (tenant, incident, language)
) STRICT, WITHOUT ROWID;

-- Tickets that are about it (kind 'ticket'), and contacts that heard of it ('contact').
CREATE TABLE incident_child (
    tenant INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    kind TEXT NOT NULL,
    child INTEGER NOT NULL,
    -- Since when, Unix milliseconds.
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, incident, kind, child)
) STRICT, WITHOUT ROWID;

-- Who wants to be told when it is over, desk::Subscriber as JSON. Personal: a row that can be erased;
-- it goes by itself when their call is promised.
CREATE TABLE incident_subscriber (
    tenant INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    contact INTEGER NOT NULL,
    subscriber TEXT NOT NULL,
    PRIMARY KEY (tenant, incident, contact)
) STRICT, WITHOUT ROWID;
