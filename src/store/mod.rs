//! Rows of SQL for the rooms that keep records: one set of statements on two engines, SQLite for one node and PostgreSQL for a fleet.
//!
//! A room owns its tables ([`Schema`]), its statements and what its rows mean; this one knows none of it. It reads ([`Store::read`]) and
//! writes whole changes at once ([`Store::write`]): a change is a list of statements that all happen or none, and that may be tried again
//! because nothing in it depends on what was read inside. What must not have changed meanwhile is said in the statement
//! (`WHERE version = $n`) and by how many rows it has to change ([`Statement::changing`]).
//!
//! Statements keep to what both engines understand alike: `$n` parameters, TEXT, BIGINT (microseconds of the Unix epoch, 0 and 1) and bytes,
//! `ON CONFLICT`. Only the steps of a schema may differ, and they do in one word (`BYTES`).

mod config;

mod error;

mod pool;

mod schema;

mod statement;

#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

use rand::RngExt as _;

pub use config::{Config, StoreUrl};
pub use error::StoreError;
pub use schema::Schema;
pub use statement::{Row, Statement, Value};

use pool::Pool;

/// How often a change is tried where another stands in its way.
const TRIES: u32 = 8;
/// Pause before the second try; doubled each time, of random length.
const PAUSE: Duration = Duration::from_millis(5);

/// The rows of one node or of a fleet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// How long one question or change may take, whatever becomes of the connection: a server that is gone without a word says nothing.
    patience: Duration,
}

impl Store {
    /// Opens what `config` names: the file `store.db` in `data_dir`, which is made where there is none, or a PostgreSQL server.
    ///
    /// # Errors
    /// The file cannot be used, or nothing answers there.
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Store, StoreError> {
        let patience = config.connect_timeout + config.statement_timeout;
        Ok(Store { pool: Pool::open(config, data_dir).await?, patience })
    }

    /// Whether other nodes may use the same rows.
    pub fn is_shared(&self) -> bool {
        self.pool.is_shared()
    }

    /// Brings a room's tables up to date. Nodes that start at once wait for one another.
    ///
    /// # Errors
    /// As [`write`](Store::write). A step that fails leaves everything as it was before it.
    pub async fn migrate(&self, schema: &Schema) -> Result<(), StoreError> {
        self.pool.migrate(schema).await
    }

    /// The rows that a statement selects.
    ///
    /// # Errors
    /// The store cannot be reached, or refuses the statement.
    pub async fn read(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        match self.within(self.pool.read(&statement)).await {
            // A connection that was closed under us is noticed when it is used.
            Err(StoreError::Unreachable(_)) => self.within(self.pool.read(&statement)).await,
            read => read,
        }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.patience, work).await.unwrap_or(Err(StoreError::TimedOut))
    }

    /// Makes a change: all statements in this order, or none.
    ///
    /// # Errors
    /// A statement changed another number of rows than it has to, a row of its name is there already, other changes stood in the way
    /// for too long, or the store cannot be reached. Nothing was changed then, but for the last: whether it was is not known.
    pub async fn write(&self, change: &[Statement]) -> Result<(), StoreError> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.within(self.pool.write(change)).await {
                Err(StoreError::Busy) => {
                    let random = rand::rng().random_range(0.5..1.5);
                    tokio::time::sleep(pause.mul_f64(random)).await;
                    pause *= 2;
                }
                written => return written,
            }
        }
        self.within(self.pool.write(change)).await
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
