-- Clients of the authorization server, what persons let them do, and passkeys: state, guarded as all state is.
-- What waits for minutes (pushed requests, device codes, ceremonies) is none: nothing rests on it.

CREATE TABLE interlock.oauth_clients (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    redirect_uris TEXT[] NOT NULL,
    jwks JSON NOT NULL,
    registered_at TIMESTAMPTZ NOT NULL,
    owner TEXT,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_oauth_clients PRIMARY KEY (id),
    CONSTRAINT fk_oauth_clients_owner FOREIGN KEY (owner) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.delegations (
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    login TEXT NOT NULL,
    client TEXT NOT NULL,
    scopes TEXT[] NOT NULL,
    key TEXT NOT NULL,
    code_hash TEXT NOT NULL,
    challenge TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    given_at TIMESTAMPTZ NOT NULL,
    code_until TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL,
    exchanged_at TIMESTAMPTZ,
    generation BIGINT NOT NULL,
    actor TEXT,
    ended_at TIMESTAMPTZ,
    ended_reason TEXT NOT NULL,
    CONSTRAINT pk_delegations PRIMARY KEY (id),
    CONSTRAINT fk_delegations_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_delegations_login FOREIGN KEY (login) REFERENCES interlock.logins (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_delegations_client ON interlock.delegations (client);
CREATE INDEX ix_delegations_code_hash ON interlock.delegations (code_hash);
CREATE INDEX ix_delegations_login ON interlock.delegations (login);
CREATE INDEX ix_delegations_person ON interlock.delegations (person);

CREATE TABLE interlock.passkeys (
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    public_key TEXT NOT NULL,
    uses BIGINT NOT NULL,
    name TEXT NOT NULL,
    added_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_passkeys PRIMARY KEY (id),
    CONSTRAINT fk_passkeys_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_passkeys_person ON interlock.passkeys (person);

CREATE TABLE interlock.waiting (
    name TEXT NOT NULL,
    content JSON NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    origin TEXT NOT NULL,
    CONSTRAINT pk_waiting PRIMARY KEY (name)
);
CREATE INDEX ix_waiting_until ON interlock.waiting (until);
CREATE INDEX ix_waiting_origin ON interlock.waiting (origin);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['oauth_clients', 'delegations', 'passkeys'] LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER has_entry AFTER INSERT OR UPDATE OR DELETE ON interlock.%I '
            'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interlock.has_entry()', name);
        EXECUTE format(
            'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interlock.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows()', name);
        EXECUTE format('ALTER TABLE interlock.%I ENABLE ALWAYS TRIGGER has_entry', name);
        EXECUTE format('ALTER TABLE interlock.%I ENABLE ALWAYS TRIGGER no_truncate', name);
    END LOOP;
END $$;
