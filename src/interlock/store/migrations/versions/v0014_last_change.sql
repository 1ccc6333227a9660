-- When the last of one kind changed is asked for each list of people.
CREATE INDEX ix_changes_entity_position ON interlock.changes (entity, position);
