-- What is known of an account beside what was configured. A token carries the generation of its account, so raising it
-- ends every token at once.
CREATE TABLE account_state (
    account_id          TEXT    NOT NULL PRIMARY KEY,
    generation          BIGINT  NOT NULL DEFAULT 0,
    must_reset_password BIGINT  NOT NULL DEFAULT 0,
    last_login_at       BIGINT,
    last_login_address  TEXT
);

-- Who is logged in. Of secrets only the SHA-256 is kept.
CREATE TABLE session (
    id                  TEXT    NOT NULL PRIMARY KEY,
    user_id             TEXT    NOT NULL,
    tenant_id           TEXT    NOT NULL,
    token_sha256        TEXT    NOT NULL UNIQUE,
    created_at          BIGINT  NOT NULL,
    last_seen_at        BIGINT  NOT NULL,
    expires_at          BIGINT  NOT NULL,
    address             TEXT    NOT NULL,
    user_agent          TEXT    NOT NULL,
    methods             TEXT    NOT NULL,
    stepped_up_at       BIGINT,
    revoked_at          BIGINT,
    revoked_by          TEXT
);
CREATE INDEX session_by_user ON session (user_id, last_seen_at);
CREATE INDEX session_by_end ON session (expires_at);

-- All refresh tokens of one login; each is used once. Using one again ends the session.
CREATE TABLE refresh_token (
    sha256              TEXT    NOT NULL PRIMARY KEY,
    session_id          TEXT    NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    created_at          BIGINT  NOT NULL,
    expires_at          BIGINT  NOT NULL,
    used_at             BIGINT
);
CREATE INDEX refresh_token_by_session ON refresh_token (session_id);

-- Links that were handed out or mailed: invitations and password resets.
CREATE TABLE one_time_token (
    sha256              TEXT    NOT NULL PRIMARY KEY,
    purpose             TEXT    NOT NULL,
    user_id             TEXT    NOT NULL,
    created_at          BIGINT  NOT NULL,
    expires_at          BIGINT  NOT NULL,
    used_at             BIGINT
);
CREATE INDEX one_time_token_by_user ON one_time_token (user_id);
CREATE INDEX one_time_token_by_end ON one_time_token (expires_at);
