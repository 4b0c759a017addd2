-- People: users and how they sign in, what they allow, and clients that
-- introduce themselves. A server of version 1 runs on beside: it knows nothing
-- of the new columns, so each has a default.

ALTER TABLE client
    ADD COLUMN jwks_uri                text        NOT NULL DEFAULT '',
    ADD COLUMN access_token_lifetime   interval    NOT NULL DEFAULT '0', -- 0: the server's
    ADD COLUMN application_type        text        NOT NULL DEFAULT '',
    ADD COLUMN client_uri              text        NOT NULL DEFAULT '',
    ADD COLUMN logo_uri                text        NOT NULL DEFAULT '',
    ADD COLUMN policy_uri              text        NOT NULL DEFAULT '',
    ADD COLUMN tos_uri                 text        NOT NULL DEFAULT '',
    ADD COLUMN contacts                text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN software_id             text        NOT NULL DEFAULT '',
    ADD COLUMN software_version        text        NOT NULL DEFAULT '',
    ADD COLUMN registration            text        NOT NULL DEFAULT 'operator'
        CHECK (registration IN ('operator', 'dynamic', 'document')),
    ADD COLUMN registration_token_hash bytea,      -- SHA-256
    ADD COLUMN fingerprint             bytea UNIQUE,
    ADD COLUMN expires_at              timestamptz, -- unless used before
    ADD COLUMN fetched_at              timestamptz,
    ADD COLUMN fresh_until             timestamptz;

CREATE INDEX client_expires_at ON client (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE users (
    user_id        text COLLATE "C" PRIMARY KEY,
    username       text COLLATE "C" NOT NULL UNIQUE,
    name           text        NOT NULL,
    email          text        NOT NULL,
    email_verified boolean     NOT NULL,
    password_hash  text        NOT NULL, -- PHC string; empty without
    totp_secret    bytea,                -- sealed
    recovery_codes bytea[]     NOT NULL, -- SHA-256 of each
    disabled       boolean     NOT NULL,
    revision       bigint      NOT NULL CHECK (revision > 0),
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
);

-- Who upstream OpenID providers say users are.
CREATE TABLE user_identity (
    issuer  text NOT NULL,
    subject text NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- WebAuthn credentials.
CREATE TABLE passkey (
    credential_id    bytea       PRIMARY KEY,
    user_id          text COLLATE "C" NOT NULL,
    name             text        NOT NULL,
    public_key       bytea       NOT NULL, -- COSE
    attestation_type text        NOT NULL,
    transports       text[]      NOT NULL,
    flags            smallint    NOT NULL,
    aaguid           bytea,
    sign_count       bigint      NOT NULL,
    created_at       timestamptz NOT NULL,
    last_used_at     timestamptz
);

CREATE INDEX passkey_user_id ON passkey (user_id);

-- Browsers in which somebody is signed in, by the SHA-256 of the cookie.
CREATE TABLE session (
    session_hash bytea       PRIMARY KEY CHECK (octet_length(session_hash) = 32),
    user_id      text COLLATE "C" NOT NULL,
    methods      text[]      NOT NULL,
    auth_time    timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    user_agent   text        NOT NULL,
    address      text        NOT NULL
);

CREATE INDEX session_user_id ON session (user_id);
CREATE INDEX session_expires_at ON session (expires_at);

-- How often something went wrong lately.
CREATE TABLE failure_counter (
    key_hash   bytea       PRIMARY KEY CHECK (octet_length(key_hash) = 32),
    count      integer     NOT NULL CHECK (count > 0),
    last_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX failure_counter_expires_at ON failure_counter (expires_at);

-- Authorization requests on their way through sign-in and consent.
CREATE TABLE interaction (
    interaction_hash bytea       PRIMARY KEY CHECK (octet_length(interaction_hash) = 32),
    browser_hash     bytea       NOT NULL CHECK (octet_length(browser_hash) = 32),
    client_id        text        NOT NULL,
    redirect_uri     text        NOT NULL,
    state            text        NOT NULL,
    code_challenge   text        NOT NULL,
    scopes           text[]      NOT NULL,
    resource         text        NOT NULL,
    audience         text        NOT NULL,
    token_format     text        CHECK (token_format IN ('jwt', 'opaque')),
    nonce            text        NOT NULL,
    prompt           text[]      NOT NULL,
    max_age          interval,   -- null: any
    login_hint       text        NOT NULL,
    user_code        bytea       CHECK (octet_length(user_code) = 32), -- null: not of a device
    user_id          text COLLATE "C",     -- null: nobody has signed in for it
    session_hash     bytea       CHECK (octet_length(session_hash) = 32),
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL
);

CREATE INDEX interaction_expires_at ON interaction (expires_at);

-- Pushed authorization requests (RFC 9126).
CREATE TABLE pushed_request (
    request_hash bytea       PRIMARY KEY CHECK (octet_length(request_hash) = 32),
    client_id    text        NOT NULL,
    params       text        NOT NULL,
    expires_at   timestamptz NOT NULL
);

CREATE INDEX pushed_request_expires_at ON pushed_request (expires_at);

-- What a user has allowed one installation of a client: the one row of a token
-- family, in which nothing grows with refreshes. An authorization code is the
-- grant it will become, so that whoever presents it again finds under one lock
-- what it became: until then created_at is null and expires_at the code's.
CREATE TABLE token_grant (
    grant_id       text COLLATE "C" PRIMARY KEY,
    client_id      text        NOT NULL,
    user_id        text COLLATE "C" NOT NULL,
    scopes         text[]      NOT NULL,
    resource       text        NOT NULL,
    audience       text        NOT NULL,
    token_format   text        CHECK (token_format IN ('jwt', 'opaque')),
    auth_time      timestamptz,
    methods        text[]      NOT NULL,
    nonce          text        NOT NULL,
    client_digest  bytea,
    device         text        NOT NULL,
    refresh        boolean     NOT NULL,

    -- The code, null for a grant that was made without one.
    code_hash      bytea UNIQUE CHECK (octet_length(code_hash) = 32),
    redirect_uri   text,
    code_challenge text,

    generation     bigint      NOT NULL DEFAULT 0 CHECK (generation >= 0), -- of the refresh token
    rotated_at     timestamptz,
    secret         bytea       CHECK (octet_length(secret) = 32),
    created_at     timestamptz,
    last_used_at   timestamptz,
    expires_at     timestamptz NOT NULL,
    revoked_at     timestamptz,
    revoke_reason  text        CHECK (revoke_reason <> ''),

    CHECK ((created_at IS NULL) = (secret IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
);

CREATE INDEX token_grant_user_id ON token_grant (user_id, client_id, resource);
CREATE INDEX token_grant_client_id ON token_grant (client_id);
CREATE INDEX token_grant_expires_at ON token_grant (expires_at);

-- Requests of devices (RFC 8628). What follows approved is of an approval.
CREATE TABLE device_authorization (
    device_code    bytea       PRIMARY KEY CHECK (octet_length(device_code) = 32),
    user_code      bytea       NOT NULL UNIQUE CHECK (octet_length(user_code) = 32),
    client_id      text        NOT NULL,
    scopes         text[]      NOT NULL,
    resource       text        NOT NULL,
    audience       text        NOT NULL,
    token_format   text        CHECK (token_format IN ('jwt', 'opaque')),
    device         text        NOT NULL,
    refresh        boolean     NOT NULL,
    poll_interval  interval    NOT NULL,
    polled_at      timestamptz,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,

    approved       boolean, -- null: nobody has decided
    grant_id       text COLLATE "C",
    user_id        text COLLATE "C",
    granted_scopes text[],
    auth_time      timestamptz,
    methods        text[],
    client_digest  bytea,
    spent_at       timestamptz
);

CREATE INDEX device_authorization_expires_at ON device_authorization (expires_at);
