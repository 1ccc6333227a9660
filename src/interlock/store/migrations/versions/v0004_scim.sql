-- Users and groups of a company's directory: state, guarded as all state is.

CREATE TABLE interlock.provisioned (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content JSON NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    modified_at TIMESTAMPTZ NOT NULL,
    person TEXT,
    suspended_at TIMESTAMPTZ,
    deleted_at TIMESTAMPTZ,
    CONSTRAINT pk_provisioned PRIMARY KEY (id),
    CONSTRAINT fk_provisioned_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_provisioned_kind_name ON interlock.provisioned (kind, name);
CREATE INDEX ix_provisioned_person ON interlock.provisioned (person);

CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.provisioned
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.provisioned
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.provisioned ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.provisioned ENABLE ALWAYS TRIGGER no_truncate;
