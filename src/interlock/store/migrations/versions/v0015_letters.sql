-- What is to be told to whom, and accounts in chats that are persons'.
CREATE TABLE interlock.chat_links (
    notifier TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL,
    shown TEXT NOT NULL,
    linked_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_chat_links PRIMARY KEY (notifier, subject),
    CONSTRAINT fk_chat_links_person FOREIGN KEY (person) REFERENCES interlock.people (name)
        DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_chat_links_person ON interlock.chat_links (person);
CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.chat_links
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.chat_links
    FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows();
ALTER TABLE interlock.chat_links ENABLE ALWAYS TRIGGER has_entry;
ALTER TABLE interlock.chat_links ENABLE ALWAYS TRIGGER no_truncate;

-- Not state: what is lost here was only not told.
CREATE TABLE interlock.letters (
    position BIGINT NOT NULL,
    notifier TEXT NOT NULL,
    person TEXT NOT NULL,
    request TEXT NOT NULL,
    content JSON NOT NULL,
    tell TEXT[] NOT NULL,
    revises TEXT NOT NULL,
    put_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ,
    tries BIGINT NOT NULL,
    why TEXT NOT NULL,
    done_at TIMESTAMPTZ,
    receipt TEXT NOT NULL,
    CONSTRAINT pk_letters PRIMARY KEY (position, notifier, person)
);
CREATE INDEX ix_letters_waiting ON interlock.letters (notifier, due_at) WHERE done_at IS NULL;
CREATE INDEX ix_letters_person ON interlock.letters (person, position) WHERE due_at IS NULL;
CREATE INDEX ix_letters_request ON interlock.letters (request) WHERE receipt <> '';
CREATE INDEX ix_letters_put_at ON interlock.letters (put_at);
CREATE TABLE interlock.letters_upto (
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    CONSTRAINT pk_letters_upto PRIMARY KEY (name)
);
