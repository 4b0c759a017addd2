-- People, and what they allow. Durations are nanoseconds, absent digests are
-- NULL; the rest is as in the first migration. Every table has its records'
-- way in as key and an index on what expires.

-- What clients say about themselves and how they came here. The defaults are
-- what a server that does not know these columns means. The table is made anew,
-- because each added column would make SQLite read the whole schema again.
CREATE TABLE client_2 (
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
    updated_at                 INTEGER NOT NULL,
    jwks_uri                   TEXT    NOT NULL DEFAULT '',
    access_token_lifetime      INTEGER NOT NULL DEFAULT 0, -- 0: the server's
    application_type           TEXT    NOT NULL DEFAULT '',
    client_uri                 TEXT    NOT NULL DEFAULT '',
    logo_uri                   TEXT    NOT NULL DEFAULT '',
    policy_uri                 TEXT    NOT NULL DEFAULT '',
    tos_uri                    TEXT    NOT NULL DEFAULT '',
    contacts                   TEXT    NOT NULL DEFAULT '[]',
    software_id                TEXT    NOT NULL DEFAULT '',
    software_version           TEXT    NOT NULL DEFAULT '',
    registration               TEXT    NOT NULL DEFAULT 'operator'
        CHECK (registration IN ('operator', 'dynamic', 'document')),
    registration_token_hash    BLOB    CHECK (length(registration_token_hash) = 32),
    fingerprint                BLOB,
    expires_at                 INTEGER, -- NULL: never
    fetched_at                 INTEGER,
    fresh_until                INTEGER
) STRICT;

INSERT INTO client_2 (client_id, client_name, auth_method, secret_hash, previous_secret_hash, previous_secret_expires_at,
    jwks, grant_types, redirect_uris, scopes, default_scopes, resources,
    default_resource, token_format, introspect, disabled, revision, created_at,
    updated_at)
SELECT client_id, client_name, auth_method, secret_hash, previous_secret_hash, previous_secret_expires_at,
    jwks, grant_types, redirect_uris, scopes, default_scopes, resources,
    default_resource, token_format, introspect, disabled, revision, created_at,
    updated_at FROM client;

DROP TABLE client;
ALTER TABLE client_2 RENAME TO client;

CREATE UNIQUE INDEX client_fingerprint ON client (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX client_expires_at ON client (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE users (
    user_id        TEXT    NOT NULL PRIMARY KEY, -- sub
    username       TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    email_verified INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    password_hash  TEXT    NOT NULL, -- empty: no password
    totp_secret    BLOB,             -- sealed before it comes here
    recovery_codes TEXT    NOT NULL, -- JSON array of SHA-256, base64
    disabled       INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    revision       INTEGER NOT NULL CHECK (revision >= 1),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;

-- Who upstream OpenID providers say users are.
CREATE TABLE user_identity (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

-- WebAuthn credentials.
CREATE TABLE passkey (
    credential_id    BLOB    NOT NULL PRIMARY KEY,
    user_id          TEXT    NOT NULL REFERENCES users,
    name             TEXT    NOT NULL,
    public_key       BLOB    NOT NULL,
    attestation_type TEXT    NOT NULL,
    transports       TEXT    NOT NULL,
    flags            INTEGER NOT NULL,
    aaguid           BLOB,
    sign_count       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    last_used_at     INTEGER
) STRICT;

CREATE INDEX passkey_user_id ON passkey (user_id);

-- Browsers in which someone is signed in, by the SHA-256 of the cookie.
CREATE TABLE session (
    session_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(session_hash) = 32),
    user_id      TEXT    NOT NULL,
    methods      TEXT    NOT NULL,
    auth_time    INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    user_agent   TEXT    NOT NULL,
    address      TEXT    NOT NULL
) STRICT;

CREATE INDEX session_user_id ON session (user_id);
CREATE INDEX session_expires_at ON session (expires_at);

-- How often something went wrong lately.
CREATE TABLE failure_counter (
    key_hash   BLOB    NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    count      INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX failure_counter_expires_at ON failure_counter (expires_at);

-- Authorization requests on their way through sign-in and consent.
CREATE TABLE interaction (
    interaction_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(interaction_hash) = 32),
    browser_hash     BLOB    CHECK (length(browser_hash) = 32),
    client_id        TEXT    NOT NULL,
    redirect_uri     TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    code_challenge   TEXT    NOT NULL,
    scopes           TEXT    NOT NULL,
    resource         TEXT    NOT NULL,
    audience         TEXT    NOT NULL,
    token_format     TEXT    NOT NULL CHECK (token_format IN ('', 'jwt', 'opaque')),
    nonce            TEXT    NOT NULL,
    prompt           TEXT    NOT NULL,
    max_age          INTEGER NOT NULL, -- negative: any
    login_hint       TEXT    NOT NULL,
    user_code        BLOB    CHECK (length(user_code) = 32),
    user_id          TEXT    NOT NULL, -- empty: nobody has signed in for it
    session_hash     BLOB    CHECK (length(session_hash) = 32),
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX interaction_expires_at ON interaction (expires_at);

-- Pushed authorization requests (RFC 9126).
CREATE TABLE pushed_request (
    request_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(request_hash) = 32),
    client_id    TEXT    NOT NULL,
    params       TEXT    NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX pushed_request_expires_at ON pushed_request (expires_at);

-- Authorization codes (RFC 6749 section 4.1) and the grants they become. A
-- spent code stays, so that its second use is recognised.
CREATE TABLE authorization_code (
    code_hash      BLOB    NOT NULL PRIMARY KEY CHECK (length(code_hash) = 32),
    grant_id       TEXT    NOT NULL,
    client_id      TEXT    NOT NULL,
    user_id        TEXT    NOT NULL,
    redirect_uri   TEXT    NOT NULL,
    code_challenge TEXT    NOT NULL,
    scopes         TEXT    NOT NULL,
    resource       TEXT    NOT NULL,
    audience       TEXT    NOT NULL,
    token_format   TEXT    NOT NULL CHECK (token_format IN ('', 'jwt', 'opaque')),
    auth_time      INTEGER NOT NULL,
    methods        TEXT    NOT NULL,
    nonce          TEXT    NOT NULL,
    client_digest  BLOB,
    device         TEXT    NOT NULL,
    refresh        INTEGER NOT NULL CHECK (refresh IN (0, 1)),
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    spent_at       INTEGER
) STRICT;

CREATE INDEX authorization_code_expires_at ON authorization_code (expires_at);

-- What a user has allowed one installation of a client: the one row of a
-- token family. Nothing in it grows with refreshes.
CREATE TABLE token_grant (
    grant_id      TEXT    NOT NULL PRIMARY KEY,
    client_id     TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    scopes        TEXT    NOT NULL,
    resource      TEXT    NOT NULL,
    audience      TEXT    NOT NULL,
    token_format  TEXT    NOT NULL CHECK (token_format IN ('', 'jwt', 'opaque')),
    auth_time     INTEGER NOT NULL,
    methods       TEXT    NOT NULL,
    nonce         TEXT    NOT NULL,
    client_digest BLOB,
    device        TEXT    NOT NULL,
    refresh       INTEGER NOT NULL CHECK (refresh IN (0, 1)),
    generation    INTEGER NOT NULL CHECK (generation >= refresh), -- of the current refresh token
    rotated_at    INTEGER NOT NULL,
    secret        BLOB    CHECK (length(secret) = 32), -- half of the refresh tokens' key
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    revoked_at    INTEGER,
    revoke_reason TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX token_grant_user_id ON token_grant (user_id, client_id, resource);
CREATE INDEX token_grant_expires_at ON token_grant (expires_at);

-- Requests of devices (RFC 8628); what follows approved is of an approval.
CREATE TABLE device_authorization (
    device_code    BLOB    NOT NULL PRIMARY KEY CHECK (length(device_code) = 32),
    user_code      BLOB    NOT NULL UNIQUE CHECK (length(user_code) = 32),
    client_id      TEXT    NOT NULL,
    scopes         TEXT    NOT NULL,
    resource       TEXT    NOT NULL,
    audience       TEXT    NOT NULL,
    token_format   TEXT    NOT NULL CHECK (token_format IN ('', 'jwt', 'opaque')),
    device         TEXT    NOT NULL,
    refresh        INTEGER NOT NULL CHECK (refresh IN (0, 1)),
    poll_interval  INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    polled_at      INTEGER,
    approved       INTEGER CHECK (approved IN (0, 1)), -- NULL: nobody has decided
    grant_id       TEXT    NOT NULL DEFAULT '',
    user_id        TEXT    NOT NULL DEFAULT '',
    granted_scopes TEXT    NOT NULL DEFAULT '[]',
    auth_time      INTEGER,
    methods        TEXT    NOT NULL DEFAULT '[]',
    client_digest  BLOB,
    spent_at       INTEGER -- handed out
) STRICT;

CREATE INDEX device_authorization_expires_at ON device_authorization (expires_at);
