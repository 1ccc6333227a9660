-- Passwords for several connections from one address.
-- Those that exist count as used up: they lived for a minute, and an upgrade takes their use away rather than guess it.
ALTER TABLE interlock.connection_passwords
    ADD COLUMN connections BIGINT NOT NULL DEFAULT 1,
    ADD COLUMN used BIGINT NOT NULL DEFAULT 1,
    ADD COLUMN address TEXT;
ALTER TABLE interlock.connection_passwords
    ALTER COLUMN connections DROP DEFAULT,
    ALTER COLUMN used DROP DEFAULT,
    ADD CONSTRAINT ck_connection_passwords_used CHECK (used BETWEEN 0 AND connections AND connections BETWEEN 1 AND 100);
