-- How a ticket stands, who had it last, and which team: the fold of the events
-- of the contacts that belong to it, and of what the desk said.
ALTER TABLE ticket ADD COLUMN status TEXT NOT NULL DEFAULT 'open';
ALTER TABLE ticket ADD COLUMN next_update INTEGER;
ALTER TABLE ticket ADD COLUMN owner INTEGER;
ALTER TABLE ticket ADD COLUMN queue INTEGER;

-- What the log tells of those that are there already.
UPDATE ticket SET
    owner = (
        SELECT json_extract(e.body, '$.agent')
        FROM contact c JOIN event e ON e.tenant = c.tenant AND e.seq BETWEEN c.first_seq AND c.last_seq
        WHERE c.tenant = ticket.tenant AND c.contact = ticket.contact AND e.contact = ticket.contact
          AND json_extract(e.body, '$.type') = 'contact.connected'
        ORDER BY e.seq DESC LIMIT 1
    ),
    queue = (
        SELECT json_extract(e.body, '$.queue')
        FROM contact c JOIN event e ON e.tenant = c.tenant AND e.seq BETWEEN c.first_seq AND c.last_seq
        WHERE c.tenant = ticket.tenant AND c.contact = ticket.contact AND e.contact = ticket.contact
          AND json_extract(e.body, '$.type') = 'contact.queued'
        ORDER BY e.seq DESC LIMIT 1
    );
