-- How a ticket stands, who had it last, and which team. No database on
-- PostgreSQL is older: there is nothing to learn from its log.
ALTER TABLE ticket ADD COLUMN status TEXT NOT NULL DEFAULT 'open';
ALTER TABLE ticket ADD COLUMN next_update BIGINT;
ALTER TABLE ticket ADD COLUMN owner BIGINT;
ALTER TABLE ticket ADD COLUMN queue BIGINT;
