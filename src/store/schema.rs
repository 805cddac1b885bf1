//! Tables of a room, and how older ones are brought up to date.

use super::{Row, Statement, StoreError};

/// Which version each room's tables have.
pub(super) const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS schema_versions (room TEXT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)";
/// Names the lock by which nodes that start at once wait for one another: any number that nobody else takes in this database.
const LOCK: i64 = 0x7269_6e67_6261_636b;

/// Tables of one room.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Whose they are.
    pub room: &'static str,
    /// One step per version, of one or more statements that each end in `;`. Steps only add, because the version before this one runs beside it on
    /// the same tables; a released step is never edited. `BYTES` stands for the engine's name of that type.
    pub steps: &'static [&'static str],
}

impl Schema {
    /// The steps that follow the version in `row`, in an engine's words.
    pub(super) fn steps_after(&self, row: Option<&Row>, bytes: &str) -> Result<Vec<String>, StoreError> {
        let done = row.map_or(Ok(0), |row| row.int(0))?;
        if self.version() < done {
            tracing::info!(room = self.room, version = done, known = self.version(), "tables are of a later version");
        }
        let done = usize::try_from(done).unwrap_or_default();
        Ok(self.steps.iter().skip(done).map(|step| step.replace("BYTES", bytes)).collect())
    }

    fn version(&self) -> i64 {
        i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }
}

pub(super) fn version_of(schema: &Schema) -> Statement {
    Statement::new("SELECT version FROM schema_versions WHERE room = $1").bind(schema.room)
}

/// Notes the version that was reached; a later one stays.
pub(super) fn set_version(schema: &Schema) -> Statement {
    Statement::new(
        "INSERT INTO schema_versions (room, version) VALUES ($1, $2) \
         ON CONFLICT (room) DO UPDATE SET version = excluded.version WHERE schema_versions.version < excluded.version",
    )
    .bind(schema.room)
    .bind(schema.version())
}

pub(super) fn lock() -> Statement {
    Statement::new("SELECT pg_advisory_xact_lock($1)").bind(LOCK)
}
