-- Accounts on resources, each of one person and one grant.
CREATE TABLE interlock.accounts (
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    resource TEXT NOT NULL,
    name TEXT NOT NULL,
    made_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_accounts PRIMARY KEY (id),
    CONSTRAINT fk_accounts_id FOREIGN KEY (id) REFERENCES interlock.grants (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_accounts_person FOREIGN KEY (person) REFERENCES interlock.people (name)
        DEFERRABLE INITIALLY DEFERRED
);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.accounts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.accounts
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.accounts ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.accounts ENABLE ALWAYS TRIGGER no_truncate;
