-- How far each sink was told, by which control plane, until when that one may go on at most, and why it failed last. No
-- state: nothing rests on it, and without it everything is told again.
CREATE TABLE interlock.tellings (
    sink TEXT NOT NULL,
    position BIGINT NOT NULL,
    teller TEXT NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    fault TEXT NOT NULL,
    CONSTRAINT pk_tellings PRIMARY KEY (sink)
);
