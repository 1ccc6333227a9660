-- An identity that the configuration names no more ends.
ALTER TABLE interlock.identities
    ADD COLUMN configured BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN ended_at TIMESTAMPTZ;
ALTER TABLE interlock.identities ALTER COLUMN configured DROP DEFAULT;
