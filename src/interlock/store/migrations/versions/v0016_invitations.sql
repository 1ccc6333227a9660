-- Links by which persons of a contract come in.
CREATE TABLE interlock.invitations (
    id TEXT NOT NULL,
    code_hash TEXT NOT NULL,
    contract TEXT NOT NULL,
    person TEXT NOT NULL,
    invited_by TEXT NOT NULL,
    invited_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    key TEXT,
    opened_at TIMESTAMPTZ,
    address TEXT NOT NULL,
    foreign_at TIMESTAMPTZ,
    confirmed_by TEXT,
    confirmed_at TIMESTAMPTZ,
    made BOOLEAN NOT NULL,
    used_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_invitations PRIMARY KEY (id),
    CONSTRAINT fk_invitations_contract FOREIGN KEY (contract) REFERENCES interlock.contracts (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_invitations_invited_by FOREIGN KEY (invited_by) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_invitations_confirmed_by FOREIGN KEY (confirmed_by) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ix_invitations_code_hash ON interlock.invitations (code_hash);
CREATE INDEX ix_invitations_person ON interlock.invitations (person);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.invitations
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.invitations ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.invitations ENABLE ALWAYS TRIGGER no_truncate;
