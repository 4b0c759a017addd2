DROP TABLE event;
DROP TABLE signing_key;
DROP TABLE assertion_jti;
DROP TABLE access_token;
DROP TABLE client;
