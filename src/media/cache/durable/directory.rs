//! The store that is a directory: each object a file under its name.
//!
//! A file is written in `.tmp` and synced before it gets its name, by a rename that replaces nothing where nothing is to be replaced; then
//! the folders above it are synced. So a name stands for a whole object or for none, also after a loss of power, and nodes may share a
//! directory. No name begins with a dot, so none can be that of the temporary files.

mod list;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write as _},
    ops::Range,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use tempfile::NamedTempFile;
use tokio::{runtime::Handle, sync::Semaphore};

use super::store::{
    Got, Listed, ObjectBytes, ObjectKey, ObjectMeta, ObjectStore, Replace, StoreError, Upload, Written,
};

/// Bytes that are read and written at a time.
const PIECE: usize = 256 << 10;
/// Folder of files that are being written.
const TEMPORARY: &str = ".tmp";
/// Longest that one step may take: a network file system can be silent for ever.
const STEP_MAX: Duration = Duration::from_secs(30);
/// How often a folder is made again that another's removal has taken away.
const FOLDER_TRIES_MAX: usize = 16;

/// Steps that wait for the file system at once. Where it is silent, each holds a thread for as long as that lasts, though nobody waits for it
/// any more: these are few of the 512 that a runtime has for what blocks, so that the catalogue finds one.
const STEPS_MAX: usize = 64;

/// Objects as files. Clones share how many steps they take at once.
#[derive(Clone, Debug)]
pub struct Directory {
    root: Arc<Path>,
    hands: Hands,
}

impl Directory {
    /// The store under `root`, which is made if missing. What writers that are gone have left unfinished is removed.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub async fn open(root: PathBuf) -> Result<Directory, StoreError> {
        let root: Arc<Path> = Arc::from(root);
        let (shared, hands) = (Arc::clone(&root), Hands::new());
        hands
            .work("opening the directory".to_owned(), move || {
                fs::create_dir_all(shared.join(TEMPORARY))?;
                remove_left_behind(&shared.join(TEMPORARY))
            })
            .await?;
        Ok(Directory { root, hands })
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    async fn write(&self, key: &ObjectKey, upload: Upload) -> Result<Written, StoreError> {
        let Upload { body, length, replace, .. } = upload;
        let subject = || format!("writing {key}");
        if replace == Replace::Never && self.holds(key).await? {
            let (root, path) = (Arc::clone(&self.root), self.path(key));
            self.hands.work(subject(), move || sync_folders(&root, &path)).await?;
            return Ok(Written::WasThere);
        }
        let root = Arc::clone(&self.root);
        let mut temporary = self.hands.work(subject(), move || new_temporary(&root)).await?;
        let mut pieces = Pieces { body, left: length, waiting: BytesMut::new(), ended: false };
        while let Some(piece) = pieces.next().await.map_err(|source| StoreError::Body { key: key.clone(), source })? {
            // The file goes with the work: when this future is dropped, the file is removed as soon as the disk is done with it.
            temporary = self
                .hands
                .work(subject(), move || {
                    temporary.as_file_mut().write_all(&piece)?;
                    Ok(temporary)
                })
                .await?;
        }
        let (root, path) = (Arc::clone(&self.root), self.path(key));
        self.hands.work(subject(), move || keep(temporary, &root, &path, replace)).await
    }

    async fn holds(&self, key: &ObjectKey) -> Result<bool, StoreError> {
        match self.look(key).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn look(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        let path = self.path(key);
        let found = self.hands.work(format!("looking at {key}"), move || absent_is_none(fs::metadata(path))).await?;
        let found = found.filter(Metadata::is_file).ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
        Ok(meta(&found))
    }

    async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        let path = self.path(key);
        let opened = self
            .hands
            .work(format!("reading {key}"), move || {
                let Some(file) = absent_is_none(File::open(path))? else { return Ok(None) };
                let found = file.metadata()?;
                Ok(found.is_file().then_some((file, found)))
            })
            .await?;
        let (file, found) = opened.ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
        let range = match range {
            None => 0..found.len(),
            Some(Range { start, end }) if start < end && end <= found.len() => start..end,
            Some(Range { start, end }) => return Err(StoreError::OutOfRange { key: key.clone(), start, end }),
        };
        Ok(Got { meta: meta(&found), body: body(self.hands.clone(), file, range, key.clone()) })
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key));
        self.hands
            .work(format!("removing {key}"), move || {
                match fs::remove_file(&path) {
                    Ok(()) => {}
                    // A folder of other objects is not this one.
                    Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::IsADirectory => return Ok(()),
                    Err(error) => return Err(error),
                }
                sync_folders(&root, &path)?;
                remove_empty_folders(&root, &path);
                Ok(())
            })
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Directory {
    fn put<'a>(&'a self, key: &'a ObjectKey, upload: Upload) -> BoxFuture<'a, Result<Written, StoreError>> {
        self.write(key, upload).boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Got, StoreError>> {
        self.read(key, range).boxed()
    }

    fn get_cut<'a>(
        &'a self,
        key: &'a ObjectKey,
        range: Option<Range<u64>>,
        lengths: Vec<usize>,
    ) -> BoxFuture<'a, Result<Got, StoreError>> {
        async move { Ok(self.read(key, range).await?.cut(lengths)) }.boxed()
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, StoreError>> {
        self.look(key).boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.remove(key).boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        let root = Arc::clone(&self.root);
        let (prefix, after) = (prefix.to_owned(), after.map_or_else(String::new, |key| key.as_str().to_owned()));
        self.hands.work("listing".to_owned(), move || list::list(&root, &prefix, &after, limit)).boxed()
    }

    fn name(&self) -> &'static str {
        "directory"
    }
}

/// What is to be written, in pieces of a size that is worth a trip to the disk.
struct Pieces {
    body: ObjectBytes<io::Error>,
    /// Bytes that are to come.
    left: u64,
    waiting: BytesMut,
    ended: bool,
}

impl Pieces {
    /// The next piece; `None` after the last, and only if there were as many bytes as there had to be.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.ended && self.waiting.len() < PIECE {
            match self.body.next().await.transpose()? {
                Some(bytes) => {
                    let left = self.left.checked_sub(bytes.len() as u64);
                    self.left = left.ok_or_else(|| io::Error::other("it is longer than was said"))?;
                    if self.waiting.is_empty() && bytes.len() >= PIECE {
                        return Ok(Some(bytes));
                    }
                    self.waiting.extend_from_slice(&bytes);
                }
                None if self.left > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => self.ended = true,
            }
        }
        Ok((!self.waiting.is_empty()).then(|| self.waiting.split().freeze()))
    }
}

/// A file for one object, which is removed when it is dropped. It is locked as long as somebody writes it.
fn new_temporary(root: &Path) -> io::Result<NamedTempFile> {
    // As the umask of the process says: others may have been given the right to read.
    let readable = Permissions::from_mode(0o666);
    let temporary = tempfile::Builder::new().permissions(readable).tempfile_in(root.join(TEMPORARY))?;
    temporary.as_file().lock()?;
    Ok(temporary)
}

/// Removes temporary files whose writers are gone. One whose writer is at work, here or on another node, is locked.
fn remove_left_behind(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // It may have got its name or have been removed in the meantime.
        let Ok(file) = File::options().write(true).open(&path) else { continue };
        if file.try_lock().is_ok()
            && let Err(error) = fs::remove_file(&path)
            && !is_absent(&error)
        {
            return Err(error);
        }
    }
    Ok(())
}

/// Gives a finished file its name, on stable storage.
fn keep(mut temporary: NamedTempFile, root: &Path, path: &Path, replace: Replace) -> io::Result<Written> {
    temporary.as_file().sync_all()?;
    for _ in 0..FOLDER_TRIES_MAX {
        if let Some(folder) = path.parent()
            && let Err(error) = fs::create_dir_all(folder)
        {
            // It says that a folder exists, too, where that is gone again a moment later.
            if !is_absent(&error) && error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            if path.ancestors().skip(1).any(Path::is_file) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            continue;
        }
        let kept = match replace {
            Replace::Never => temporary.persist_noclobber(path),
            Replace::Always => temporary.persist(path),
        };
        let Err(failed) = kept else {
            sync_folders(root, path)?;
            return Ok(Written::Yes);
        };
        match failed.error.kind() {
            io::ErrorKind::AlreadyExists if path.is_file() => {
                sync_folders(root, path)?;
                return Ok(Written::WasThere);
            }
            io::ErrorKind::AlreadyExists if path.exists() => return Err(failed.error),
            // What was there is gone by now; or somebody has taken away the folder while it was empty.
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => temporary = failed.file,
            _ => return Err(failed.error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Makes sure of the name of `path` and of all folders on the way to it. Each time, also of what is there: whoever made them may not have got
/// that far yet, and syncing what has not changed costs next to nothing. A folder that is gone by now was empty: nothing in it is to be made sure of.
fn sync_folders(root: &Path, path: &Path) -> io::Result<()> {
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
        if let Some(folder) = absent_is_none(File::open(folder))? {
            folder.sync_all()?;
        }
    }
    Ok(())
}

/// Removes the folders above `path` that are empty. Where one is not, or is used again, that is the end.
fn remove_empty_folders(root: &Path, path: &Path) {
    let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root) && *folder != root);
    for folder in folders {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

fn meta(found: &Metadata) -> ObjectMeta {
    ObjectMeta { length: found.len(), modified: found.modified().unwrap_or(SystemTime::UNIX_EPOCH), content_type: None }
}

/// The bytes of `range`, read as they are asked for.
fn body(hands: Hands, file: File, range: Range<u64>, key: ObjectKey) -> ObjectBytes<StoreError> {
    // After an error nothing comes any more: there is no file then.
    let pieces = stream::unfold((Some(file), range), move |(file, range)| {
        let (subject, hands) = (format!("reading {key}"), hands.clone());
        async move {
            let file = file?;
            let left = range.end.saturating_sub(range.start);
            if left == 0 {
                return None;
            }
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let read = hands.work(subject, move || {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, range.start)?;
                Ok((file, Bytes::from(bytes)))
            });
            Some(match read.await {
                Ok((file, bytes)) => (Ok(bytes), (Some(file), range.start + length as u64..range.end)),
                Err(error) => (Err(error), (None, range)),
            })
        }
    });
    Box::pin(pieces)
}

/// Where waiting for a disk holds nobody up: a number of threads of the runtime that the store was opened on. Callers' own may have few.
#[derive(Clone, Debug)]
struct Hands {
    runtime: Handle,
    turns: Arc<Semaphore>,
}

impl Hands {
    fn new() -> Hands {
        Hands { runtime: Handle::current(), turns: Arc::new(Semaphore::new(STEPS_MAX)) }
    }

    /// Does `work` there. A turn is given back by the work itself: that goes on where nobody waits for it any more.
    async fn work<T: Send + 'static>(
        &self,
        subject: String,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let working = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            let work = move || {
                let _turn = turn;
                work()
            };
            self.runtime.spawn_blocking(work).await
        };
        let reason = match tokio::time::timeout(STEP_MAX, working).await {
            Ok(Ok(Ok(done))) => return Ok(done),
            Ok(Ok(Err(error))) => return Err(failure(subject, &error)),
            Ok(Err(_)) => "the work was given up".to_owned(),
            Err(_) => format!("it has taken {} s", STEP_MAX.as_secs()),
        };
        Err(StoreError::Unavailable { subject, reason })
    }
}

fn failure(subject: String, error: &io::Error) -> StoreError {
    use io::ErrorKind::{
        AlreadyExists, DirectoryNotEmpty, InvalidFilename, IsADirectory, NotADirectory, PermissionDenied,
        QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    let reason = error.kind().to_string();
    match error.kind() {
        StorageFull | QuotaExceeded => StoreError::Full { subject },
        PermissionDenied | ReadOnlyFilesystem | InvalidFilename => StoreError::Refused { subject, reason },
        // The name is that of a folder, or goes through that of an object.
        AlreadyExists | DirectoryNotEmpty | IsADirectory | NotADirectory => {
            StoreError::Refused { subject, reason: "another object's name stands in the way".to_owned() }
        }
        _ => StoreError::Unavailable { subject, reason: error.to_string() },
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn absent_is_none<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
