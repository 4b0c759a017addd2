-- One table per record of package storage, columns typed, hashes as bytea.
-- Columns that are compared or ordered as bytes use the collation "C", so that
-- no server's locale decides what "by id" means.

CREATE TABLE client (
    client_id                  text COLLATE "C" PRIMARY KEY,
    client_name                text        NOT NULL,
    auth_method                text
        CHECK (auth_method IN ('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none')),
    secret_hash                bytea,      -- SHA-256
    previous_secret_hash       bytea,
    previous_secret_expires_at timestamptz,
    jwks                       text,       -- as registered, byte for byte
    grant_types                text[]      NOT NULL,
    redirect_uris              text[]      NOT NULL,
    scopes                     text[]      NOT NULL,
    default_scopes             text[]      NOT NULL,
    resources                  text[]      NOT NULL,
    default_resource           text        NOT NULL,
    token_format               text        CHECK (token_format IN ('jwt', 'opaque')), -- null: the resource's
    introspect                 boolean     NOT NULL,
    disabled                   boolean     NOT NULL,
    revision                   bigint      NOT NULL CHECK (revision > 0),
    created_at                 timestamptz NOT NULL,
    updated_at                 timestamptz NOT NULL
);

-- Opaque access tokens are dropped with the day they expire on, never swept.
-- The store makes the partitions, named by their UTC day (access_token_20060102).
-- There is no default partition: it would have to be locked and scanned each
-- time a partition is added.
CREATE TABLE access_token (
    token_hash bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    expires_at timestamptz NOT NULL,
    client_id  text        NOT NULL,
    subject    text        NOT NULL,
    grant_id   text        NOT NULL, -- empty for client credentials
    scopes     text[]      NOT NULL,
    audience   text[]      NOT NULL,
    issued_at  timestamptz NOT NULL,
    PRIMARY KEY (token_hash, expires_at)
) PARTITION BY RANGE (expires_at);

-- The event log is append-only and partitioned like access_token. seq is drawn
-- before commit: see storage.CommitWindow.
CREATE SEQUENCE event_seq AS bigint;

CREATE TABLE event (
    seq           bigint      NOT NULL DEFAULT nextval('event_seq'),
    kind          text        NOT NULL
        CHECK (kind IN ('token', 'grant', 'client', 'subject', 'all', 'client_changed', 'keys_changed')),
    target        text        NOT NULL,
    audience      text[]      NOT NULL,
    issued_before timestamptz,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (seq, expires_at)
) PARTITION BY RANGE (expires_at);

ALTER SEQUENCE event_seq OWNED BY event.seq;

-- Whoever appends an event, by whatever statement, wakes the listeners once
-- per statement and when it commits.
CREATE FUNCTION event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gatehouse_event', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER event_notify AFTER INSERT ON event
    FOR EACH STATEMENT EXECUTE FUNCTION event_notify();

-- Used assertions. Issuer and jti are as long as the client likes, so the key is
-- a hash of both. Rows live for minutes; their number is bounded by that.
CREATE TABLE assertion_jti (
    assertion_hash bytea       PRIMARY KEY CHECK (octet_length(assertion_hash) = 32),
    expires_at     timestamptz NOT NULL
);

CREATE INDEX assertion_jti_expires_at ON assertion_jti (expires_at);

CREATE TABLE signing_key (
    kid         text COLLATE "C" PRIMARY KEY,
    alg         text        NOT NULL CHECK (alg IN ('ES256', 'EdDSA', 'PS256', 'RS256')),
    generation  bigint      NOT NULL UNIQUE CHECK (generation > 0),
    public_jwk  bytea       NOT NULL,
    sealed_jwk  bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    activate_at timestamptz NOT NULL,
    retired_at  timestamptz
);
