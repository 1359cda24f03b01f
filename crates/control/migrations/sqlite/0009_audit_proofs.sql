-- What the database knows of the last checkpoint that was written outside of it, so that checkpoints missing at the end
-- are missed. `location` says where they are kept.
CREATE TABLE audit_checkpoint (
    only_row        INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    number          BIGINT  NOT NULL,
    line_hash       TEXT    NOT NULL,
    sequence        BIGINT  NOT NULL,
    at              TEXT    NOT NULL,
    location        TEXT    NOT NULL,
    seal            TEXT    NOT NULL
);

CREATE INDEX event_by_time ON event (at);

CREATE TRIGGER audit_person_is_never_deleted BEFORE DELETE ON audit_person
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: persons are erased, not deleted');
END;

CREATE TRIGGER audit_person_is_only_erased BEFORE UPDATE ON audit_person
WHEN NEW.pseudonym <> OLD.pseudonym OR NEW.value IS NOT NULL OR NEW.salt IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: persons can only be erased');
END;

CREATE TRIGGER audit_segment_is_never_updated BEFORE UPDATE ON audit_segment
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: segments cannot be updated');
END;

CREATE TRIGGER audit_segment_is_never_deleted BEFORE DELETE ON audit_segment
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: segments cannot be deleted');
END;
