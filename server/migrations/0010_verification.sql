-- Who has shown who they are in a contact, and how sure that is (1 to 3).
ALTER TABLE contact ADD COLUMN verified INTEGER;
ALTER TABLE contact ADD COLUMN level INTEGER;

-- What somebody knows of themselves, sealed (desk::people::Factors as JSON): it can be compared by whoever has
-- root.key, and read by nobody.
ALTER TABLE person ADD COLUMN factors TEXT;
