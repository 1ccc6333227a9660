-- What is deleted and what must not be; which words segments have.
ALTER TABLE interlock.recording_keys ADD COLUMN erased_at TIMESTAMPTZ;
CREATE INDEX ix_recording_keys_to_erase ON interlock.recording_keys (session)
    WHERE destroyed_at IS NOT NULL AND erased_at IS NULL;
CREATE TABLE interlock.legal_holds (
    id TEXT NOT NULL,
    session TEXT NOT NULL,
    person TEXT NOT NULL,
    resource TEXT NOT NULL,
    reason TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at TIMESTAMPTZ NOT NULL,
    lifted_at TIMESTAMPTZ,
    lifted_by TEXT,
    CONSTRAINT pk_legal_holds PRIMARY KEY (id)
);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.legal_holds
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.legal_holds
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.legal_holds ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.legal_holds ENABLE ALWAYS TRIGGER no_truncate;
CREATE TABLE interlock.segment_words (
    session TEXT NOT NULL,
    number BIGINT NOT NULL,
    part BIGINT NOT NULL,
    person TEXT NOT NULL,
    resource TEXT NOT NULL,
    kept_at TIMESTAMPTZ NOT NULL,
    words TSVECTOR NOT NULL,
    any_words BOOLEAN NOT NULL,
    CONSTRAINT pk_segment_words PRIMARY KEY (session, number, part)
);
CREATE INDEX ix_segment_words_kept_at ON interlock.segment_words (kept_at);
CREATE INDEX ix_segment_words_words ON interlock.segment_words USING gin (words);
CREATE TABLE interlock.segment_words_upto (
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    CONSTRAINT pk_segment_words_upto PRIMARY KEY (name)
);
