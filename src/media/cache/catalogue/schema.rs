//! The file: its tables, how it is opened, and how an older one is brought up to date.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// Longest that a connection waits for another's lock: only while a second connection recovers the log after a crash.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Statements that a connection keeps compiled: more than there are.
const STATEMENTS: usize = 64;
/// Pages of the log that start a checkpoint: 32 MiB. Each checkpoint waits for the disk, so few large ones let commits flow.
const CHECKPOINT_PAGES: u32 = 8192;
/// Page cache of the writing connection in KiB (negative is SQLite's spelling of that unit): the upper levels of a million rows' indices.
const WRITER_CACHE_KIB: i32 = -32_768;

/// One step per version of the schema. Steps only add (an older program must be able to use the file), and a released step is never edited.
const MIGRATIONS: &[&str] = &["
-- Records lie in order of arrival with a small index beside them: keyed by digests, rows of this size would each touch a page of their own.
CREATE TABLE sources (tenant TEXT NOT NULL, key BLOB NOT NULL, record TEXT NOT NULL, UNIQUE (tenant, key)) STRICT;

CREATE TABLE refs (
    tenant TEXT NOT NULL, artifact BLOB NOT NULL,
    content_hash BLOB NOT NULL, source_key BLOB NOT NULL, record TEXT NOT NULL,
    UNIQUE (artifact, tenant)
) STRICT;
CREATE INDEX refs_by_content ON refs (content_hash);

CREATE TABLE manifests (artifact BLOB NOT NULL UNIQUE, record TEXT NOT NULL) STRICT;

CREATE TABLE kept (content_hash BLOB NOT NULL UNIQUE, record TEXT NOT NULL) STRICT;

-- Owner: an artifact id or a content hash.
CREATE TABLE chunk_owners (chunk BLOB NOT NULL, owner BLOB NOT NULL, PRIMARY KEY (chunk, owner)) STRICT, WITHOUT ROWID;

-- Counting rows at start would read the whole file.
CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES ('sources', 0), ('refs', 0), ('manifests', 0), ('kept', 0);
CREATE TRIGGER sources_in AFTER INSERT ON sources BEGIN UPDATE counts SET n = n + 1 WHERE name = 'sources'; END;
CREATE TRIGGER sources_out AFTER DELETE ON sources BEGIN UPDATE counts SET n = n - 1 WHERE name = 'sources'; END;
CREATE TRIGGER refs_in AFTER INSERT ON refs BEGIN UPDATE counts SET n = n + 1 WHERE name = 'refs'; END;
CREATE TRIGGER refs_out AFTER DELETE ON refs BEGIN UPDATE counts SET n = n - 1 WHERE name = 'refs'; END;
CREATE TRIGGER manifests_in AFTER INSERT ON manifests BEGIN UPDATE counts SET n = n + 1 WHERE name = 'manifests'; END;
CREATE TRIGGER manifests_out AFTER DELETE ON manifests BEGIN UPDATE counts SET n = n - 1 WHERE name = 'manifests'; END;
CREATE TRIGGER kept_in AFTER INSERT ON kept BEGIN UPDATE counts SET n = n + 1 WHERE name = 'kept'; END;
CREATE TRIGGER kept_out AFTER DELETE ON kept BEGIN UPDATE counts SET n = n - 1 WHERE name = 'kept'; END;
", "
-- Responses that the reverse proxy keeps: a namespace of their own. Rows lie in order of their last change.
CREATE TABLE responses (key BLOB NOT NULL UNIQUE, record TEXT NOT NULL) STRICT;

INSERT INTO counts VALUES ('responses', 0);
CREATE TRIGGER responses_in AFTER INSERT ON responses BEGIN UPDATE counts SET n = n + 1 WHERE name = 'responses'; END;
CREATE TRIGGER responses_out AFTER DELETE ON responses BEGIN UPDATE counts SET n = n - 1 WHERE name = 'responses'; END;
", "
-- Rules by which older entries count as absent; at in microseconds since 1970.
CREATE TABLE purges (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, text)
) STRICT, WITHOUT ROWID;
", "
-- What the durable tier is still to be told, in order. Numbers are never used twice: a row that was told is removed by its number.
CREATE TABLE pending (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, tenant TEXT NOT NULL, key BLOB NOT NULL, note TEXT NOT NULL,
    UNIQUE (kind, tenant, key)
) STRICT;

INSERT INTO counts VALUES ('pending', 0);
CREATE TRIGGER pending_in AFTER INSERT ON pending BEGIN UPDATE counts SET n = n + 1 WHERE name = 'pending'; END;
CREATE TRIGGER pending_out AFTER DELETE ON pending BEGIN UPDATE counts SET n = n - 1 WHERE name = 'pending'; END;
"];

/// Opens or makes the file for writing and brings it up to date.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens the file for lookups.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut reached = 0;
    for step in MIGRATIONS {
        reached += 1;
        if version < reached {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", reached)?;
        }
    }
    if reached < version {
        tracing::info!(version, known = reached, "the catalogue was written by a later version of this program");
    }
    transaction.commit()
}
