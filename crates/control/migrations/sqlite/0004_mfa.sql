-- Second factors of people. `data` is a TOTP secret, sealed, or the public data of a WebAuthn credential as JSON.
CREATE TABLE mfa_method (
    id              TEXT    NOT NULL PRIMARY KEY,
    user_id         TEXT    NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    method_type     TEXT    NOT NULL,
    label           TEXT    NOT NULL,
    data            TEXT    NOT NULL,
    -- The credential of a WebAuthn method; nobody registers one twice.
    credential_id   TEXT    UNIQUE,
    -- The sign counter of a WebAuthn authenticator.
    counter         BIGINT  NOT NULL DEFAULT 0,
    -- The last time step of which a TOTP code was taken.
    last_step       BIGINT  NOT NULL DEFAULT 0,
    created_at      BIGINT  NOT NULL,
    confirmed_at    BIGINT,
    last_used_at    BIGINT
);
CREATE INDEX mfa_method_by_user ON mfa_method (user_id);

-- Codes for when the other factors are lost; only their hashes.
CREATE TABLE backup_code (
    user_id         TEXT    NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    sha256          TEXT    NOT NULL,
    used_at         BIGINT,
    PRIMARY KEY (user_id, sha256)
);

-- What the server has to remember between two calls: challenges of WebAuthn, and logins that wait for their second
-- factor. `id` is the SHA-256 of what the client was given.
CREATE TABLE mfa_challenge (
    id              TEXT    NOT NULL PRIMARY KEY,
    user_id         TEXT    NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    purpose         TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    expires_at      BIGINT  NOT NULL
);
CREATE INDEX mfa_challenge_by_user ON mfa_challenge (user_id, purpose);

-- Wrong factors of the last minutes, by person and not by session, so that another login begins no new count.
CREATE TABLE mfa_failure (
    user_id         TEXT    NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    at              BIGINT  NOT NULL
);
CREATE INDEX mfa_failure_by_user ON mfa_failure (user_id, at);
