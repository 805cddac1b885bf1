//! The tables of accounts.

use crate::store::Schema;

/// Times are microseconds of the Unix epoch. `version` counts a row's changes, so that nobody overwrites what was not read.
pub(super) const SCHEMA: Schema = Schema {
    room: "accounts",
    steps: &["
-- Counts all changes. Whoever changes something holds this row until the end of the transaction, so numbers become visible in order.
CREATE TABLE revision (id BIGINT NOT NULL PRIMARY KEY, number BIGINT NOT NULL);
INSERT INTO revision (id, number) VALUES (1, 0);

-- The newest changes: what nodes remember of these accounts is forgotten.
CREATE TABLE changes (number BIGINT NOT NULL PRIMARY KEY, account TEXT NOT NULL);

CREATE TABLE accounts (
    sid TEXT NOT NULL PRIMARY KEY, parent TEXT REFERENCES accounts (sid),
    friendly_name TEXT NOT NULL, status TEXT NOT NULL,
    primary_token BYTES NOT NULL, secondary_token BYTES,
    version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE INDEX accounts_by_parent ON accounts (parent, created_at, sid);

-- API keys have a mac of their secret, signing keys the sealed secret.
CREATE TABLE api_keys (
    sid TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (sid), kind TEXT NOT NULL,
    friendly_name TEXT NOT NULL, scopes TEXT NOT NULL, mac BYTES, secret BYTES,
    expires_at BIGINT, used_at BIGINT,
    version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE INDEX api_keys_by_account ON api_keys (account, kind, created_at, sid);

CREATE TABLE applications (
    sid TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (sid),
    friendly_name TEXT NOT NULL, record TEXT NOT NULL,
    version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE INDEX applications_by_account ON applications (account, created_at, sid);

-- Without an account a number is in the operator's stock: for anybody, or for the account that it is offered to and its subaccounts.
CREATE TABLE numbers (
    sid TEXT NOT NULL PRIMARY KEY, phone_number TEXT NOT NULL UNIQUE,
    account TEXT REFERENCES accounts (sid), offered_to TEXT REFERENCES accounts (sid),
    friendly_name TEXT NOT NULL, record TEXT NOT NULL,
    version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE INDEX numbers_by_account ON numbers (account, created_at, sid);

-- Who did what to whom. Nothing in it is a secret.
CREATE TABLE audit (
    number BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, account TEXT NOT NULL,
    actor TEXT NOT NULL, credential TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX audit_by_account ON audit (account, number);
", "
-- Most changes take nothing from anybody who is remembered. A node of the version before says nothing of it: all are forgotten.
ALTER TABLE changes ADD COLUMN concerns TEXT NOT NULL DEFAULT 'callers';
-- What clients' tokens have to say: counted up, it ends those that were made before.
ALTER TABLE accounts ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
-- What an account has goes back to where only that account may take it.
UPDATE numbers SET offered_to = account WHERE account IS NOT NULL AND offered_to IS NULL;
"],
};
