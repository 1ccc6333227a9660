-- Evidence of the delivery chain: one duty done on one commit, with its signed statement.
CREATE TABLE interlock.evidence (
    id TEXT NOT NULL,
    chain TEXT NOT NULL,
    duty TEXT NOT NULL,
    repository TEXT NOT NULL,
    commit TEXT NOT NULL,
    tree TEXT NOT NULL,
    base TEXT NOT NULL,
    branch TEXT NOT NULL,
    person TEXT NOT NULL,
    how TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    envelope TEXT NOT NULL,
    environment TEXT NOT NULL,
    landed TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    commits TEXT[] NOT NULL,
    voided_at TIMESTAMPTZ,
    voided_why TEXT NOT NULL,
    CONSTRAINT pk_evidence PRIMARY KEY (id),
    CONSTRAINT fk_evidence_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_evidence_commit ON interlock.evidence (commit);
CREATE INDEX ix_evidence_landed ON interlock.evidence (landed);
CREATE INDEX ix_evidence_subject ON interlock.evidence (subject);
CREATE INDEX ix_evidence_repository_source ON interlock.evidence (repository, source);
CREATE INDEX ix_evidence_repository_environment_duty_at ON interlock.evidence (repository, environment, duty, at);
CREATE INDEX ix_evidence_commits ON interlock.evidence USING gin (commits);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.evidence
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.evidence
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.evidence ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.evidence ENABLE ALWAYS TRIGGER no_truncate;
