-- When accounts and API tokens were last used, and from where. Written every few seconds and never at a call.
CREATE TABLE last_use (
    id              TEXT    NOT NULL PRIMARY KEY REFERENCES resource (id) ON DELETE CASCADE,
    at              BIGINT  NOT NULL,
    address         TEXT
);
