-- What happens to a contract besides its end.
ALTER TABLE interlock.contracts
    ADD COLUMN review INTERVAL,
    ADD COLUMN confirmed_at TIMESTAMPTZ,
    ADD COLUMN paused_at TIMESTAMPTZ,
    ADD COLUMN paused_reason TEXT NOT NULL DEFAULT '',
    ADD COLUMN extended_from TIMESTAMPTZ,
    ADD COLUMN warned_at TIMESTAMPTZ;
ALTER TABLE interlock.contracts ALTER COLUMN paused_reason DROP DEFAULT;

CREATE TABLE interlock.extensions (
    contract TEXT NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    asked_by TEXT NOT NULL,
    key TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    decided_by TEXT,
    decided_at TIMESTAMPTZ,
    agreed BOOLEAN NOT NULL,
    CONSTRAINT pk_extensions PRIMARY KEY (contract),
    CONSTRAINT fk_extensions_contract FOREIGN KEY (contract) REFERENCES interlock.contracts (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_extensions_asked_by FOREIGN KEY (asked_by) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_extensions_decided_by FOREIGN KEY (decided_by) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.extensions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.extensions
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.extensions ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.extensions ENABLE ALWAYS TRIGGER no_truncate;
