-- Times are unix microseconds (UTC), lists are JSON arrays of strings, absent
-- optional values are NULL.

-- Registered clients (RFC 7591 section 2). Wide rows and few of them: an
-- ordinary table with an index on client_id. The default collation compares
-- bytes.
CREATE TABLE client (
    client_id                  TEXT    NOT NULL PRIMARY KEY,
    client_name                TEXT    NOT NULL,
    auth_method                TEXT    NOT NULL
        CHECK (auth_method IN ('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none')),
    secret_hash                BLOB    CHECK (length(secret_hash) = 32),
    previous_secret_hash       BLOB    CHECK (length(previous_secret_hash) = 32),
    previous_secret_expires_at INTEGER,
    jwks                       TEXT, -- as registered, byte for byte
    grant_types                TEXT    NOT NULL,
    redirect_uris              TEXT    NOT NULL,
    scopes                     TEXT    NOT NULL,
    default_scopes             TEXT    NOT NULL,
    resources                  TEXT    NOT NULL,
    default_resource           TEXT    NOT NULL,
    token_format               TEXT    CHECK (token_format IN ('jwt', 'opaque')), -- NULL: the resource's
    introspect                 INTEGER NOT NULL CHECK (introspect IN (0, 1)),
    disabled                   INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    revision                   INTEGER NOT NULL CHECK (revision >= 1),
    created_at                 INTEGER NOT NULL,
    updated_at                 INTEGER NOT NULL
) STRICT;

-- Opaque access tokens by the SHA-256 of the token. One tree instead of two:
-- the key is the only way in.
CREATE TABLE access_token (
    token_hash BLOB    NOT NULL CHECK (length(token_hash) = 32),
    expires_at INTEGER NOT NULL,
    client_id  TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    grant_id   TEXT    NOT NULL, -- empty for client credentials
    scopes     TEXT    NOT NULL,
    audience   TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,
    PRIMARY KEY (token_hash, expires_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX access_token_expires_at ON access_token (expires_at);

-- Identifiers of used assertions (RFC 7523 section 3).
CREATE TABLE assertion_jti (
    issuer     TEXT    NOT NULL,
    jti        TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, jti)
) STRICT, WITHOUT ROWID;

CREATE INDEX assertion_jti_expires_at ON assertion_jti (expires_at);

-- Signing keys; the private part is sealed before it comes here.
CREATE TABLE signing_key (
    kid         TEXT    NOT NULL PRIMARY KEY,
    alg         TEXT    NOT NULL CHECK (alg IN ('ES256', 'EdDSA', 'PS256', 'RS256')),
    generation  INTEGER NOT NULL UNIQUE CHECK (generation >= 1),
    public_jwk  BLOB    NOT NULL,
    sealed_jwk  BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    activate_at INTEGER NOT NULL,
    retired_at  INTEGER
) STRICT;

-- The append-only event log. AUTOINCREMENT: a sequence number is never handed
-- out twice, even after the log was emptied.
CREATE TABLE event (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT    NOT NULL
        CHECK (kind IN ('token', 'grant', 'client', 'subject', 'all', 'client_changed', 'keys_changed')),
    target        TEXT    NOT NULL,
    audience      TEXT    NOT NULL,
    issued_before INTEGER,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX event_expires_at ON event (expires_at);
