-- What a grant is asked for: the artifact over which the person acts.
ALTER TABLE interlock.requests ADD COLUMN artifact TEXT NOT NULL DEFAULT '';
ALTER TABLE interlock.requests ALTER COLUMN artifact DROP DEFAULT;
CREATE INDEX ix_requests_artifact ON interlock.requests (artifact);
