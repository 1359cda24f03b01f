-- Requests for approval: calls that wait until others have agreed to them. Times are microseconds since 1970 in UTC.
CREATE TABLE approval (
    id              TEXT    NOT NULL PRIMARY KEY,
    tenant_id       TEXT    NOT NULL,
    requester_id    TEXT    NOT NULL,
    requester       TEXT    NOT NULL,
    via             TEXT    NOT NULL,
    door            TEXT    NOT NULL,
    permission      TEXT    NOT NULL,
    api             TEXT    NOT NULL,
    method          TEXT    NOT NULL,
    path            TEXT    NOT NULL,
    query           TEXT    NOT NULL,
    body_sha256     TEXT    NOT NULL,
    digest          TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    rules           TEXT    NOT NULL,
    approver_roles  TEXT    NOT NULL,
    needed          BIGINT  NOT NULL,
    valid_seconds   BIGINT  NOT NULL,
    status          TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    expires_at      BIGINT  NOT NULL,
    approved_until  BIGINT,
    ended_at        BIGINT
);
-- The same call of the same requester waits at most once.
CREATE UNIQUE INDEX approval_open ON approval (requester_id, digest) WHERE status IN ('pending', 'approved');
CREATE INDEX approval_by_status ON approval (status, expires_at);
CREATE INDEX approval_by_requester ON approval (requester_id, id);
CREATE INDEX approval_by_tenant ON approval (tenant_id, id);

-- Who decided what about a request; each of them once.
CREATE TABLE approval_decision (
    approval_id     TEXT    NOT NULL REFERENCES approval (id) ON DELETE CASCADE,
    account_id      TEXT    NOT NULL,
    account         TEXT    NOT NULL,
    decision        TEXT    NOT NULL,
    comment         TEXT    NOT NULL,
    at              BIGINT  NOT NULL,
    PRIMARY KEY (approval_id, account_id)
);
