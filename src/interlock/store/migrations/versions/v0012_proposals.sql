-- Changes of the policy that are proposed: the whole text, and which policy it is a change of.
CREATE TABLE interlock.proposals (
    request TEXT NOT NULL,
    base TEXT NOT NULL,
    digest TEXT NOT NULL,
    yaml TEXT NOT NULL,
    cedar JSON NOT NULL,
    CONSTRAINT pk_proposals PRIMARY KEY (request),
    CONSTRAINT fk_proposals_request FOREIGN KEY (request) REFERENCES interlock.requests (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.proposals
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.proposals
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.proposals ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.proposals ENABLE ALWAYS TRIGGER no_truncate;
