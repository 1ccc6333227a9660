-- The first schema of the state. Made by Interlock's migrations, as the schema's owner; never edited once released.
--
-- Tables, then what holds the promise of the one unit of work: no change of state is committed by a transaction that
-- wrote no ledger entry, and the ledger only grows, each entry linked to the one before it.

CREATE TABLE interlock.attempts (
    subject TEXT NOT NULL,
    failures BIGINT NOT NULL,
    last_at TIMESTAMPTZ NOT NULL,
    blocked_until TIMESTAMPTZ,
    CONSTRAINT pk_attempts PRIMARY KEY (subject)
);

CREATE TABLE interlock.gateways (
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    joined_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_gateways PRIMARY KEY (name),
    CONSTRAINT uq_gateways_key UNIQUE (key)
);

CREATE TABLE interlock.ledger (
    position BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BYTEA NOT NULL,
    link BYTEA NOT NULL,
    transaction BIGINT NOT NULL,
    CONSTRAINT pk_ledger PRIMARY KEY (position)
);
CREATE INDEX ix_ledger_transaction ON interlock.ledger (transaction);

CREATE TABLE interlock.policies (
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    yaml TEXT NOT NULL,
    cedar JSON NOT NULL,
    CONSTRAINT pk_policies PRIMARY KEY (version)
);

CREATE TABLE interlock.seen_proofs (
    proof BYTEA NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    CONSTRAINT pk_seen_proofs PRIMARY KEY (proof)
);
CREATE INDEX ix_seen_proofs_until ON interlock.seen_proofs (until);

CREATE TABLE interlock.vendors (
    name TEXT NOT NULL,
    CONSTRAINT pk_vendors PRIMARY KEY (name)
);

CREATE TABLE interlock.changes (
    position BIGINT NOT NULL,
    entity TEXT NOT NULL,
    key TEXT[] NOT NULL,
    CONSTRAINT pk_changes PRIMARY KEY (position, entity, key),
    CONSTRAINT fk_changes_position FOREIGN KEY (position) REFERENCES interlock.ledger (position)
);

CREATE TABLE interlock.people (
    name TEXT NOT NULL,
    vendor TEXT,
    groups TEXT[] NOT NULL,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_people PRIMARY KEY (name),
    CONSTRAINT fk_people_vendor FOREIGN KEY (vendor) REFERENCES interlock.vendors (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.contracts (
    name TEXT NOT NULL,
    vendor TEXT NOT NULL,
    sponsor TEXT NOT NULL,
    start TIMESTAMPTZ NOT NULL,
    "end" TIMESTAMPTZ NOT NULL,
    roles TEXT[] NOT NULL,
    people TEXT[] NOT NULL,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_contracts PRIMARY KEY (name),
    CONSTRAINT fk_contracts_vendor FOREIGN KEY (vendor) REFERENCES interlock.vendors (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_contracts_sponsor FOREIGN KEY (sponsor) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.enrolments (
    code_hash TEXT NOT NULL,
    person TEXT NOT NULL,
    issued_by TEXT NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    CONSTRAINT pk_enrolments PRIMARY KEY (code_hash),
    CONSTRAINT fk_enrolments_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.identities (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL,
    CONSTRAINT pk_identities PRIMARY KEY (kind, subject),
    CONSTRAINT fk_identities_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.local_credentials (
    person TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    totp_secret TEXT,
    totp_last_step BIGINT NOT NULL,
    set_at TIMESTAMPTZ,
    CONSTRAINT pk_local_credentials PRIMARY KEY (person),
    CONSTRAINT fk_local_credentials_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.logins (
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    key TEXT NOT NULL,
    signed_in_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL,
    present_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    CONSTRAINT pk_logins PRIMARY KEY (id),
    CONSTRAINT fk_logins_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_logins_ends_at ON interlock.logins (ends_at);
CREATE INDEX ix_logins_person_ends_at ON interlock.logins (person, ends_at);
CREATE INDEX ix_logins_key ON interlock.logins (key);

CREATE TABLE interlock.requests (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    person TEXT NOT NULL,
    resource TEXT NOT NULL,
    role TEXT NOT NULL,
    content JSON NOT NULL,
    digest TEXT NOT NULL,
    rules JSON NOT NULL,
    reason TEXT NOT NULL,
    key TEXT NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    state TEXT NOT NULL,
    decided_at TIMESTAMPTZ,
    session TEXT,
    duration INTERVAL,
    decided_by TEXT,
    decided_reason TEXT NOT NULL,
    CONSTRAINT pk_requests PRIMARY KEY (id),
    CONSTRAINT fk_requests_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_requests_opened_at ON interlock.requests (opened_at);
CREATE INDEX ix_requests_person_opened_at ON interlock.requests (person, opened_at);
CREATE INDEX ix_requests_state_opened_at ON interlock.requests (state, opened_at);

CREATE TABLE interlock.activities (
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    resource TEXT NOT NULL,
    login TEXT NOT NULL,
    grants TEXT[] NOT NULL,
    gateway TEXT NOT NULL,
    address TEXT NOT NULL,
    client TEXT NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    closed_at TIMESTAMPTZ,
    closed_why TEXT NOT NULL,
    statements BIGINT NOT NULL,
    cut_why TEXT NOT NULL,
    recording TEXT NOT NULL,
    CONSTRAINT pk_activities PRIMARY KEY (id),
    CONSTRAINT fk_activities_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_activities_login FOREIGN KEY (login) REFERENCES interlock.logins (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_activities_live ON interlock.activities (opened_at) WHERE closed_at IS NULL;
CREATE INDEX ix_activities_opened_at ON interlock.activities (opened_at);
CREATE INDEX ix_activities_person_opened_at ON interlock.activities (person, opened_at);

CREATE TABLE interlock.approvals (
    request TEXT NOT NULL,
    person TEXT NOT NULL,
    digest TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    present_at TIMESTAMPTZ,
    CONSTRAINT pk_approvals PRIMARY KEY (request, person),
    CONSTRAINT fk_approvals_request FOREIGN KEY (request) REFERENCES interlock.requests (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_approvals_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.connection_passwords (
    hash TEXT NOT NULL,
    person TEXT NOT NULL,
    login TEXT NOT NULL,
    resource TEXT NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    CONSTRAINT pk_connection_passwords PRIMARY KEY (hash),
    CONSTRAINT fk_connection_passwords_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_connection_passwords_login FOREIGN KEY (login) REFERENCES interlock.logins (id) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE interlock.grants (
    id TEXT NOT NULL,
    request TEXT NOT NULL,
    person TEXT NOT NULL,
    role TEXT NOT NULL,
    resource TEXT NOT NULL,
    key TEXT NOT NULL,
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL,
    contract TEXT,
    ended_at TIMESTAMPTZ,
    ended_by TEXT,
    ended_reason TEXT NOT NULL,
    CONSTRAINT pk_grants PRIMARY KEY (id),
    CONSTRAINT fk_grants_request FOREIGN KEY (request) REFERENCES interlock.requests (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_grants_person FOREIGN KEY (person) REFERENCES interlock.people (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_grants_contract FOREIGN KEY (contract) REFERENCES interlock.contracts (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_grants_ends_at ON interlock.grants (ends_at);
CREATE INDEX ix_grants_person_ends_at ON interlock.grants (person, ends_at);


-- The ledger's guard. It holds whoever writes: the place follows the last one, the link is what it must be, and the
-- transaction's number is the database's own word.
CREATE FUNCTION interlock.place_entry() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_position bigint;
    last_link bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(18764, 1);
    SELECT position, link INTO last_position, last_link FROM interlock.ledger ORDER BY position DESC LIMIT 1;
    IF NEW.position IS DISTINCT FROM coalesce(last_position, 0) + 1 THEN
        RAISE EXCEPTION 'the next ledger entry is %, not %', coalesce(last_position, 0) + 1, NEW.position
            USING ERRCODE = 'IL003';
    END IF;
    IF NEW.link IS DISTINCT FROM sha256(coalesce(last_link, decode(repeat('00', 32), 'hex')) || NEW.body) THEN
        RAISE EXCEPTION 'ledger entry % is not linked to the one before it', NEW.position USING ERRCODE = 'IL003';
    END IF;
    NEW.transaction := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;

CREATE FUNCTION interlock.announce() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('interlock_ledger', '');
    RETURN NULL;
END $$;

CREATE FUNCTION interlock.only_grows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% only grows: % is refused', TG_TABLE_NAME, lower(TG_OP) USING ERRCODE = 'IL002';
END $$;

-- Runs at the commit, for every row of state that was written.
CREATE FUNCTION interlock.has_entry() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM interlock.ledger WHERE transaction = pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION 'a change of % without its ledger entry', TG_TABLE_NAME USING ERRCODE = 'IL001';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER place BEFORE INSERT ON interlock.ledger FOR EACH ROW EXECUTE FUNCTION interlock.place_entry();
CREATE TRIGGER announce AFTER INSERT ON interlock.ledger FOR EACH STATEMENT EXECUTE FUNCTION interlock.announce();

-- ENABLE ALWAYS: they fire whatever session_replication_role says.
ALTER TABLE interlock.ledger ENABLE ALWAYS TRIGGER place;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ledger', 'changes'] LOOP
        EXECUTE format(
            'CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON interlock.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION interlock.only_grows()', name);
        EXECUTE format('ALTER TABLE interlock.%I ENABLE ALWAYS TRIGGER only_grows', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'vendors', 'people', 'identities', 'contracts', 'requests',
        'approvals', 'grants', 'logins', 'activities', 'local_credentials',
        'enrolments', 'attempts', 'connection_passwords', 'gateways', 'policies'
    ] LOOP
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
