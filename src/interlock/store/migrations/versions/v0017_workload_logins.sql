-- The login of a CI job, to which a deployment's role is lent, says whose it is, and under which rule it was let in.
ALTER TABLE interlock.logins ADD COLUMN workload TEXT NOT NULL DEFAULT '';
ALTER TABLE interlock.logins ALTER COLUMN workload DROP DEFAULT;
ALTER TABLE interlock.logins ADD COLUMN rule TEXT NOT NULL DEFAULT '';
ALTER TABLE interlock.logins ALTER COLUMN rule DROP DEFAULT;
