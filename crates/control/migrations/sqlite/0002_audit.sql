-- The events of before had no chain, and no version that wrote them was released. What they told is in `history`.
DROP TABLE event;

-- The chain of events; see audit/chain.rs for what is hashed.
CREATE TABLE event (
    sequence        INTEGER NOT NULL PRIMARY KEY,
    at              BIGINT  NOT NULL,
    tenant_id       TEXT    NOT NULL,
    actor_kind      TEXT    NOT NULL,
    actor           TEXT    NOT NULL,
    actor_id        TEXT    NOT NULL,
    via             TEXT    NOT NULL,
    client          TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    resource_id     TEXT    NOT NULL,
    resource_name   TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    count           BIGINT  NOT NULL,
    details         TEXT    NOT NULL,
    store_revision  BIGINT  NOT NULL,
    previous_hash   TEXT    NOT NULL,
    hash            TEXT    NOT NULL,
    seal            TEXT    NOT NULL
);
CREATE INDEX event_by_tenant ON event (tenant_id, sequence);

-- Where the chain ends, so that rows missing at its end are missed.
CREATE TABLE audit_head (
    only_row        INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    sequence        BIGINT  NOT NULL,
    hash            TEXT    NOT NULL,
    seal            TEXT    NOT NULL
);

-- Segments of the chain that were written to files and may leave the table.
CREATE TABLE audit_segment (
    first_sequence  BIGINT  NOT NULL PRIMARY KEY,
    last_sequence   BIGINT  NOT NULL,
    previous_hash   TEXT    NOT NULL,
    last_hash       TEXT    NOT NULL,
    file            TEXT    NOT NULL,
    file_sha256     TEXT    NOT NULL,
    sealed_at       BIGINT  NOT NULL,
    seal            TEXT    NOT NULL
);

-- What pseudonyms in the chain stand for. Erasing a person empties their row.
CREATE TABLE audit_person (
    pseudonym       TEXT    NOT NULL PRIMARY KEY,
    salt            TEXT,
    value           TEXT UNIQUE
);

CREATE TRIGGER event_is_never_updated BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: events cannot be updated');
END;

CREATE TRIGGER event_is_deleted_only_when_sealed BEFORE DELETE ON event
WHEN NOT EXISTS (
    SELECT 1 FROM audit_segment WHERE OLD.sequence BETWEEN first_sequence AND last_sequence
)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: events cannot be deleted');
END;

CREATE TRIGGER event_is_appended_at_its_end BEFORE INSERT ON event
WHEN NEW.sequence <= (SELECT COALESCE(MAX(sequence), 0) FROM event)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: events are added at its end');
END;

-- Keys that secrets and seals are made with, themselves sealed under the operator's key.
CREATE TABLE data_key (
    id              TEXT    NOT NULL PRIMARY KEY,
    purpose         TEXT    NOT NULL,
    wrapped         TEXT    NOT NULL,
    wrapped_by      TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    retired_at      BIGINT
);
