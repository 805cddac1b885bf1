//! The two engines: connections, and what differs between them.

use std::{path::Path, time::Duration};

use sqlx::{
    AssertSqlSafe, Executor as _, PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Config, Row, Schema, Statement, StoreError, schema};

/// What the file in the data directory is called.
const FILE: &str = "store.db";
/// How long a connection waits for another's lock on the file.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Connections that nobody has used for so long are closed.
const IDLE_MAX: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) enum Pool {
    /// One file. SQLite has one writer at a time; waiting for it in a queue of ours is fair and cheaper than in its lock.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// Runs `$body` in a transaction of either engine.
macro_rules! in_transaction {
    ($begun:expr, |$transaction:ident| $body:block) => {{
        let mut $transaction = $begun?;
        $body
        $transaction.commit().await?;
        Ok(())
    }};
}

impl Pool {
    pub(super) async fn open(config: &Config, data_dir: &Path) -> Result<Pool, StoreError> {
        if config.url.is_empty() {
            return Pool::open_file(config, data_dir).await;
        }
        let Some(options) = config.url.postgres() else {
            return Err(StoreError::Unusable("store.url is no address of a PostgreSQL server".to_owned()));
        };
        let timeout = config.statement_timeout.as_millis().to_string();
        let options = options.application_name("ringback").options([
            ("statement_timeout", timeout.as_str()),
            ("idle_in_transaction_session_timeout", timeout.as_str()),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(config.connections_max)
            .acquire_timeout(config.connect_timeout)
            .idle_timeout(IDLE_MAX)
            .connect_with(options)
            .await?;
        Ok(Pool::Postgres(pool))
    }

    async fn open_file(config: &Config, data_dir: &Path) -> Result<Pool, StoreError> {
        let unusable = |source: std::io::Error| StoreError::Unusable(format!("{}: {source}", data_dir.display()));
        std::fs::create_dir_all(data_dir).map_err(unusable)?;
        let path = data_dir.join(FILE);
        private_file(&path).map_err(unusable)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // Few changes, and each was acknowledged.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_MAX)
            .foreign_keys(true);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY_MAX);
        let writer = pool(1).connect_with(options.clone()).await?;
        let readers = pool(config.connections_max).idle_timeout(IDLE_MAX).connect_with(options.read_only(true)).await?;
        Ok(Pool::Sqlite { writer, readers })
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Pool::Postgres(_))
    }

    pub(super) async fn read(&self, statement: &Statement) -> Result<Vec<Row>, StoreError> {
        match self {
            Pool::Sqlite { readers, .. } => statement.query().fetch_all(readers).await?.iter().map(Row::read).collect(),
            Pool::Postgres(pool) => statement.query().fetch_all(pool).await?.iter().map(Row::read).collect(),
        }
    }

    pub(super) async fn write(&self, change: &[Statement]) -> Result<(), StoreError> {
        match self {
            Pool::Sqlite { writer, .. } => in_transaction!(writer.begin_with("BEGIN IMMEDIATE").await, |transaction| {
                for (number, statement) in change.iter().enumerate() {
                    let done = statement.query().execute(&mut *transaction).await?;
                    check(number, statement, done.rows_affected())?;
                }
            }),
            Pool::Postgres(pool) => in_transaction!(pool.begin().await, |transaction| {
                for (number, statement) in change.iter().enumerate() {
                    let done = statement.query().execute(&mut *transaction).await?;
                    check(number, statement, done.rows_affected())?;
                }
            }),
        }
    }

    pub(super) async fn migrate(&self, schema: &Schema) -> Result<(), StoreError> {
        match self {
            Pool::Sqlite { writer, .. } => in_transaction!(writer.begin_with("BEGIN IMMEDIATE").await, |transaction| {
                transaction.execute(schema::VERSIONS).await?;
                let version = schema::version_of(schema).query().fetch_optional(&mut *transaction).await?;
                let version = version.as_ref().map(Row::read).transpose()?;
                for step in schema.steps_after(version.as_ref(), "BLOB")? {
                    transaction.execute(AssertSqlSafe(step)).await?;
                }
                schema::set_version(schema).query().execute(&mut *transaction).await?;
            }),
            Pool::Postgres(pool) => in_transaction!(pool.begin().await, |transaction| {
                // Until the end of the transaction. `CREATE TABLE IF NOT EXISTS` alone fails where two do it at once.
                schema::lock().query().execute(&mut *transaction).await?;
                transaction.execute(schema::VERSIONS).await?;
                let version = schema::version_of(schema).query().fetch_optional(&mut *transaction).await?;
                let version = version.as_ref().map(Row::read).transpose()?;
                for step in schema.steps_after(version.as_ref(), "BYTEA")? {
                    transaction.execute(AssertSqlSafe(step)).await?;
                }
                schema::set_version(schema).query().execute(&mut *transaction).await?;
            }),
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Pool::Sqlite { writer, readers } => {
                readers.close().await;
                // The last to close writes the log back into the file.
                writer.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

fn check(number: usize, statement: &Statement, changed: u64) -> Result<(), StoreError> {
    match statement.changes {
        Some(expected) if expected != changed => Err(StoreError::Unchanged { statement: number, changed }),
        _ => Ok(()),
    }
}

/// Makes the file before SQLite does, so that nobody else may read it; its log and index get the same mode.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}
