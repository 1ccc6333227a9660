-- Proofs of presence for connections. INVARIANT: no pass is used more often than it was given for, whoever writes.
CREATE TABLE interlock.connection_passes (
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    login TEXT NOT NULL,
    key TEXT NOT NULL,
    resource TEXT NOT NULL,
    grants TEXT[] NOT NULL,
    digest TEXT NOT NULL,
    how TEXT NOT NULL,
    present_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    connections BIGINT NOT NULL,
    used BIGINT NOT NULL,
    used_at TIMESTAMPTZ,
    address TEXT,
    password TEXT NOT NULL,
    CONSTRAINT pk_connection_passes PRIMARY KEY (id),
    CONSTRAINT fk_connection_passes_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_connection_passes_login FOREIGN KEY (login) REFERENCES interlock.logins (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_connection_passes_used CHECK (used BETWEEN 0 AND connections AND connections BETWEEN 1 AND 100)
);
CREATE INDEX ix_connection_passes_login_expires_at ON interlock.connection_passes (login, expires_at);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.connection_passes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.connection_passes
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.connection_passes ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.connection_passes ENABLE ALWAYS TRIGGER no_truncate;
