-- Keys that access tokens are signed with; the private part is sealed. Without `retired_at` it is the current one.
CREATE TABLE signing_key (
    kid             TEXT    NOT NULL PRIMARY KEY,
    algorithm       TEXT    NOT NULL,
    private_key     TEXT    NOT NULL,
    public_jwk      TEXT    NOT NULL,
    epoch           TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    retired_at      BIGINT
);

-- Access tokens that were taken back before their time was over.
CREATE TABLE revoked_token (
    jti             TEXT    NOT NULL PRIMARY KEY,
    expires_at      BIGINT  NOT NULL
);
CREATE INDEX revoked_token_by_end ON revoked_token (expires_at);

-- Logins that are under way at an external provider: one row for each, used once.
CREATE TABLE oidc_login (
    state           TEXT    NOT NULL PRIMARY KEY,
    provider_id     TEXT    NOT NULL,
    nonce           TEXT    NOT NULL,
    verifier        TEXT    NOT NULL,
    binding         TEXT    NOT NULL,
    return_to       TEXT    NOT NULL,
    expires_at      BIGINT  NOT NULL
);

-- Which user an identity of an external provider is.
CREATE TABLE external_identity (
    issuer          TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    user_id         TEXT    NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    created_at      BIGINT  NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX external_identity_by_user ON external_identity (user_id);
