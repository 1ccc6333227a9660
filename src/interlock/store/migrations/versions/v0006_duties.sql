-- Duties of chains over artifacts: who took and did which, on what content.
CREATE TABLE interlock.duties (
    id TEXT NOT NULL,
    chain TEXT NOT NULL,
    artifact TEXT NOT NULL,
    duty TEXT NOT NULL,
    person TEXT NOT NULL,
    taken_at TIMESTAMPTZ NOT NULL,
    content TEXT NOT NULL,
    done_at TIMESTAMPTZ,
    voided_at TIMESTAMPTZ,
    voided_why TEXT NOT NULL,
    CONSTRAINT pk_duties PRIMARY KEY (id),
    CONSTRAINT fk_duties_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_duties_artifact_chain ON interlock.duties (artifact, chain);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.duties
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.duties
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.duties ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.duties ENABLE ALWAYS TRIGGER no_truncate;
