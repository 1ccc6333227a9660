-- Passwords and proofs of presence for connections are good for minutes. A day after that they are forgotten: the only
-- state that is deleted, by this function alone, at most so many of each at a time, with a ledger entry that says so.
-- INVARIANT: whoever calls it, nothing that is still good goes, nor anything that the ledger does not tell of.
CREATE FUNCTION interlock.forget_connections(most bigint, OUT passes bigint, OUT passwords bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM interlock.connection_passes WHERE id = ANY (ARRAY(
        SELECT id FROM interlock.connection_passes WHERE expires_at < clock_timestamp() - interval '1 day'
        LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS passes = ROW_COUNT;
    DELETE FROM interlock.connection_passwords WHERE hash = ANY (ARRAY(
        SELECT hash FROM interlock.connection_passwords WHERE expires_at < clock_timestamp() - interval '1 day'
        LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS passwords = ROW_COUNT;
END $$;
REVOKE ALL ON FUNCTION interlock.forget_connections(bigint) FROM PUBLIC;
CREATE INDEX ix_connection_passes_expires_at ON interlock.connection_passes (expires_at);
CREATE INDEX ix_connection_passwords_expires_at ON interlock.connection_passwords (expires_at);
