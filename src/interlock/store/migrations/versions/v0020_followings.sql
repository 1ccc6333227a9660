-- Which gateway workers may still go on, until when at most, and up to where each has applied what it was told. No
-- state: it is made anew as they follow.
CREATE TABLE interlock.followings (
    gateway TEXT NOT NULL,
    worker TEXT NOT NULL,
    applied BIGINT NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    CONSTRAINT pk_followings PRIMARY KEY (gateway, worker)
);
CREATE INDEX ix_followings_until ON interlock.followings (until);
