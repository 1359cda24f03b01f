-- Every resource of every kind, as typed documents. Times are microseconds since 1970 in UTC.
CREATE TABLE resource (
    id              TEXT    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL,
    tenant_id       TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    revision        BIGINT  NOT NULL,
    spec            TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL
);
CREATE UNIQUE INDEX resource_by_name ON resource (kind, tenant_id, name);
CREATE INDEX resource_by_age ON resource (kind, tenant_id, id);

-- Which resource refers to which, for referential checks and cascades.
CREATE TABLE reference (
    from_id         TEXT    NOT NULL REFERENCES resource (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    field           TEXT    NOT NULL,
    to_id           TEXT    NOT NULL REFERENCES resource (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (from_id, field, to_id)
);
CREATE INDEX reference_by_target ON reference (to_id);

-- Every past revision. The spec of a deleted resource is the one it had.
CREATE TABLE history (
    id              TEXT    NOT NULL,
    revision        BIGINT  NOT NULL,
    store_revision  BIGINT  NOT NULL,
    kind            TEXT    NOT NULL,
    tenant_id       TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    actor           TEXT    NOT NULL,
    changed_at      BIGINT  NOT NULL,
    spec            TEXT    NOT NULL,
    PRIMARY KEY (id, revision)
);

-- What happened and must not be denied.
CREATE TABLE event (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    at              BIGINT  NOT NULL,
    tenant_id       TEXT    NOT NULL,
    actor           TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    resource_id     TEXT    NOT NULL,
    resource_name   TEXT    NOT NULL,
    store_revision  BIGINT  NOT NULL
);
CREATE INDEX event_by_tenant ON event (tenant_id, sequence);

-- Raised by every commit; whoever needs to know follows it.
CREATE TABLE store_revision (
    only_row        INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    revision        BIGINT  NOT NULL
);
INSERT INTO store_revision (only_row, revision) VALUES (1, 0);
