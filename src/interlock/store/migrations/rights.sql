-- Who may do what. Run at every start, after the migrations: the role may have come to be since the last one.

-- The role whose rights the control plane works with. Where this server does not let us make it, the operator may; until
-- then the control plane works as the owner, and the triggers alone hold.
DO $$
BEGIN
    IF to_regrole('interlock_application') IS NULL THEN
        CREATE ROLE interlock_application NOLOGIN;
        EXECUTE format('GRANT interlock_application TO %I', current_user);
    END IF;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
    NULL;
END $$;

REVOKE ALL ON SCHEMA interlock FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA interlock FROM PUBLIC;

DO $$
DECLARE
    name text;
BEGIN
    IF to_regrole('interlock_application') IS NULL THEN
        RETURN;
    END IF;
    GRANT USAGE ON SCHEMA interlock TO interlock_application;
    REVOKE ALL ON ALL TABLES IN SCHEMA interlock FROM interlock_application;
    GRANT SELECT ON ALL TABLES IN SCHEMA interlock TO interlock_application;
    -- State is saved, never deleted: what is over says so in a column.
    FOR name IN
        SELECT relname FROM pg_class JOIN pg_trigger ON tgrelid = pg_class.oid
        WHERE relnamespace = 'interlock'::regnamespace AND tgname = 'has_entry'
    LOOP
        EXECUTE format('GRANT INSERT, UPDATE ON interlock.%I TO interlock_application', name);
    END LOOP;
    -- Nor by this: it deletes what is long over, and nothing else.
    GRANT EXECUTE ON FUNCTION interlock.forget_connections(bigint) TO interlock_application;
    GRANT INSERT ON interlock.ledger, interlock.changes TO interlock_application;
    GRANT INSERT, UPDATE, DELETE ON interlock.seen_proofs, interlock.waiting, interlock.followings, interlock.segment_words, interlock.segment_words_upto, interlock.watch_memory, interlock.letters, interlock.letters_upto, interlock.tellings TO interlock_application;
END $$;
