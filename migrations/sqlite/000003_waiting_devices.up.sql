-- What devices were allowed and have yet to collect, to be revoked: always few.
CREATE INDEX device_authorization_waiting ON device_authorization (user_id) WHERE approved AND spent_at IS NULL;
