-- Recordings in segments: which were stored, and the wrapped keys that open them.
CREATE TABLE interlock.segments (
    session TEXT NOT NULL,
    number BIGINT NOT NULL,
    digest TEXT NOT NULL,
    records BIGINT NOT NULL,
    kept_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT pk_segments PRIMARY KEY (session, number)
);
CREATE TABLE interlock.recording_keys (
    session TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    master TEXT NOT NULL,
    made_at TIMESTAMPTZ NOT NULL,
    destroyed_at TIMESTAMPTZ,
    CONSTRAINT pk_recording_keys PRIMARY KEY (session)
);
CREATE INDEX ix_recording_keys_master ON interlock.recording_keys (master);
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['segments', 'recording_keys'] LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.%I
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry()', name);
        EXECUTE format(
            'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.%I
                 FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows()', name);
        EXECUTE format('ALTER TABLE interlock.%I ENABLE ALWAYS TRIGGER has_entry', name);
        EXECUTE format('ALTER TABLE interlock.%I ENABLE ALWAYS TRIGGER no_truncate', name);
    END LOOP;
END $$;
