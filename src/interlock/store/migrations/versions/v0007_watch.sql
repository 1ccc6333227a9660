-- What sessions come to, and the alarms of detections over the ledger.
ALTER TABLE interlock.activities
    ADD COLUMN rows BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN refused BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN held_why TEXT NOT NULL DEFAULT '';
ALTER TABLE interlock.activities
    ALTER COLUMN rows DROP DEFAULT,
    ALTER COLUMN refused DROP DEFAULT,
    ALTER COLUMN held_why DROP DEFAULT;

CREATE TABLE interlock.alarms (
    detection TEXT NOT NULL,
    position BIGINT NOT NULL,
    response TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    sentence TEXT NOT NULL,
    person TEXT NOT NULL,
    session TEXT NOT NULL,
    resource TEXT NOT NULL,
    "grant" TEXT NOT NULL,
    sessions TEXT[] NOT NULL,
    CONSTRAINT pk_alarms PRIMARY KEY (detection, position)
);
CREATE INDEX ix_alarms_position ON interlock.alarms (position);

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.alarms
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.alarms
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
ALTER TABLE interlock.alarms ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.alarms ENABLE ALWAYS TRIGGER no_truncate;

-- Not state: all of it follows from the ledger.
CREATE TABLE interlock.watch_memory (
    name TEXT NOT NULL,
    content JSON NOT NULL,
    CONSTRAINT pk_watch_memory PRIMARY KEY (name)
);
