DROP TABLE signing_key;
DROP TABLE assertion_jti;
DROP TABLE event; -- with its partitions, trigger and sequence
DROP FUNCTION event_notify();
DROP TABLE access_token;
DROP TABLE client;
