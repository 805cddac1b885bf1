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
", "
-- Applications that ask accounts to act for them. Deleted ones stay, because what was allowed to them names them.
CREATE TABLE connect_apps (
    sid TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (sid),
    friendly_name TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL,
    version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE INDEX connect_apps_by_account ON connect_apps (account, created_at, sid);

-- The application that a subaccount was made for: nobody but its developer acts on it by credentials, and it has none of its own.
ALTER TABLE accounts ADD COLUMN connect_app TEXT REFERENCES connect_apps (sid);

-- What accounts allow applications, once for each two: sid is the subaccount.
CREATE TABLE authorizations (
    sid TEXT NOT NULL PRIMARY KEY REFERENCES accounts (sid),
    user_account TEXT NOT NULL REFERENCES accounts (sid), connect_app TEXT NOT NULL REFERENCES connect_apps (sid),
    status TEXT NOT NULL, profile TEXT NOT NULL, limits TEXT NOT NULL, allowed_by TEXT NOT NULL, used_at BIGINT,
    version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX authorizations_once ON authorizations (user_account, connect_app);
CREATE INDEX authorizations_by_app ON authorizations (connect_app);

-- Codes and what they gave: a row is a code, then the refresh token that it became, the newest of its family. What is revoked is not there.
CREATE TABLE connect_grants (
    id TEXT NOT NULL PRIMARY KEY, authorized TEXT NOT NULL REFERENCES authorizations (sid),
    code_mac BYTES NOT NULL, redirect_url TEXT NOT NULL, challenge TEXT, exchanged_at BIGINT, refresh_mac BYTES,
    expires_at BIGINT NOT NULL, version BIGINT NOT NULL, created_at BIGINT NOT NULL
);
CREATE INDEX connect_grants_by_authorized ON connect_grants (authorized, created_at);
CREATE INDEX connect_grants_by_end ON connect_grants (expires_at);

-- Developers who are to be told that they may not any more. A node that tells one holds the row until leased_until.
CREATE TABLE deauthorizations (
    id TEXT NOT NULL PRIMARY KEY, authorized TEXT NOT NULL REFERENCES accounts (sid),
    connect_app TEXT NOT NULL REFERENCES connect_apps (sid),
    tries BIGINT NOT NULL, due_at BIGINT NOT NULL, leased_until BIGINT NOT NULL, lease TEXT NOT NULL, created_at BIGINT NOT NULL
);
CREATE INDEX deauthorizations_by_app ON deauthorizations (connect_app, due_at, id);
CREATE INDEX deauthorizations_by_authorized ON deauthorizations (authorized);
CREATE INDEX deauthorizations_by_lease ON deauthorizations (connect_app, leased_until);

-- As which application somebody acted.
ALTER TABLE audit ADD COLUMN application TEXT NOT NULL DEFAULT '';
", "
-- People who may sign in. A password is kept as the text of its Argon2id hash; what an authenticator shares is sealed, and totp_used is the
-- newest step whose code was taken: a code is good once. Of wrong codes after the right password code_failures were shown on code_day.
CREATE TABLE users (
    sid TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (sid),
    email TEXT NOT NULL, role TEXT NOT NULL, status TEXT NOT NULL,
    password TEXT NOT NULL, totp_secret BYTES, totp_used BIGINT NOT NULL, signed_in_at BIGINT,
    code_failures BIGINT NOT NULL DEFAULT 0, code_day BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE INDEX users_by_account ON users (account, created_at, sid);
CREATE UNIQUE INDEX users_by_email ON users (email) WHERE status = 'active';

-- Their sessions: the id is half of what a browser keeps, of the other half there is a mac.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY, user_sid TEXT NOT NULL REFERENCES users (sid), mac BYTES NOT NULL,
    created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_sid, created_at);
", "
-- Who is told that a limit of the account is reached.
ALTER TABLE accounts ADD COLUMN limit_callback_url TEXT;
ALTER TABLE accounts ADD COLUMN limit_callback_method TEXT NOT NULL DEFAULT 'POST';

-- What is to be told, as with deauthorizations; account is the one whose address hears it.
CREATE TABLE alerts (
    id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (sid), record TEXT NOT NULL,
    tries BIGINT NOT NULL, due_at BIGINT NOT NULL, leased_until BIGINT NOT NULL, lease TEXT NOT NULL, created_at BIGINT NOT NULL
);
CREATE INDEX alerts_by_account ON alerts (account, due_at, id);
CREATE INDEX alerts_by_lease ON alerts (account, leased_until);

-- Since when a limit is reached, when last, and when that was told last.
CREATE TABLE reached_limits (
    limited TEXT NOT NULL, resource TEXT NOT NULL, threshold TEXT NOT NULL, account TEXT NOT NULL,
    began_at BIGINT NOT NULL, reached_at BIGINT NOT NULL, told_at BIGINT NOT NULL, version BIGINT NOT NULL,
    PRIMARY KEY (limited, resource, threshold)
);
CREATE INDEX reached_limits_by_account ON reached_limits (account, reached_at);
"],
};
