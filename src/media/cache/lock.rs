//! One process has a data directory.

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::Arc,
};

use super::CacheError;

/// Makes the directory and takes the lock, which the operating system gives back when the process ends.
pub(super) fn take(data_dir: &Path) -> Result<File, CacheError> {
    let path = data_dir.join("lock");
    let unusable = |source| CacheError::DataDirectory { path: path.clone(), source: Arc::new(source) };
    std::fs::create_dir_all(data_dir).map_err(unusable)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CacheError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}
