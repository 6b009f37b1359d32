//! The output of a fetch: a part, which becomes the file when it is complete, or a pipe or device.
//!
//! The laws:
//!
//! 1. A new part is a new file: an existing file or link of its name is never written to. From the start it has
//!    the permissions of the file that it replaces.
//! 2. A part is locked while it is written. Another fetch of the same file uses another part.
//! 3. A file is replaced in one step, by a rename. If the fetch is cut off, the part stays; an empty part is removed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, Write},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper::body::Bytes;
use nio_loop::Handle;
use nio_programs::Failure;
use rustix::fs::{FlockOperation, Mode, OFlags};

/// The kind of an output.
pub(crate) enum Place {
    /// The standard output.
    Stdout,
    /// A device or a pipe. It is opened, not replaced.
    Other(PathBuf),
    /// A file, with links resolved.
    File(PathBuf),
}

impl Place {
    pub(crate) fn of(path: Option<&Path>) -> Result<Place, Failure> {
        let Some(path) = path else {
            return Ok(Place::Stdout);
        };
        let mut path = path.to_owned();
        loop {
            let is_replaced = match path.metadata() {
                Ok(metadata) => metadata.is_file() && !names_a_descriptor(&path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                // For example, a link to itself.
                Err(error) => return Err(cannot_write(&path, &error)),
            };
            if !is_replaced {
                return Ok(Place::Other(path));
            }
            let Ok(target) = path.read_link() else {
                return Ok(Place::File(path));
            };
            path = path.parent().unwrap_or(&path).join(target);
        }
    }

    /// Opens the output. Of a file it opens the part.
    pub(crate) async fn open(self, handle: &Handle, continues: bool) -> Result<Output, Failure> {
        let (file, part, path) = match self {
            Place::Stdout => {
                let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
                (file, None, "the standard output".into())
            }
            Place::Other(path) => {
                // Opening a named pipe waits for its reader.
                let opened = path.clone();
                let opening = move || OpenOptions::new().write(true).open(opened);
                (handle.spawn_blocking(opening)?.await?, None, path)
            }
            Place::File(path) => match open_part(&path, continues) {
                Ok((file, part)) => (Ok(file), Some(part), path),
                Err(error) => return Err(cannot_write(&path, &error)),
            },
        };
        let file = file.map_err(|error| cannot_write(&path, &error))?;
        let metadata = file.metadata().ok();
        let blocks = !metadata.as_ref().is_some_and(fs::Metadata::is_file);
        let len = metadata.map_or(0, |metadata| metadata.len());
        Ok(Output {
            file: Arc::new(file),
            had: if part.is_some() { len } else { 0 },
            part,
            path,
            blocks,
        })
    }
}

/// Whether a path names a descriptor, as /dev/stdout does. It may look like a link to a file if the output is
/// redirected, but that file must not be replaced.
fn names_a_descriptor(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(path);
    let folder = Path::new(".").join(folder).canonicalize(); // "" for a name without a folder
    folder.is_ok_and(|folder| {
        folder.starts_with("/proc") || ["/dev", "/dev/fd"].map(Path::new).contains(&&*folder)
    })
}

/// A path with a suffix, for a part or its validator.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes a new part, or opens the one that an earlier fetch has left.
fn open_part(path: &Path, continues: bool) -> io::Result<(File, PathBuf)> {
    let usual = with_suffix(path, ".part");
    if let Some(left) = left_part(&usual)? {
        if continues {
            return Ok((left, usual));
        }
        fs::remove_file(&usual)?;
        let _ = fs::remove_file(validator_of(&usual));
    }
    let replaced = path.metadata().map(|metadata| metadata.permissions());
    let mode = replaced.as_ref().map_or(0o666, PermissionsExt::mode);
    for number in 0.. {
        let part = match number {
            0 => usual.clone(),
            _ => with_suffix(path, &format!(".{number}.part")),
        };
        let mut new = OpenOptions::new();
        match new
            .write(true)
            .create_new(true)
            .mode(mode & 0o777)
            .open(&part)
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
                if let Ok(replaced) = replaced {
                    // The mode above lacks the bits of the umask. Some file systems have no permissions.
                    let _ = file.set_permissions(replaced);
                }
                return Ok((file, part));
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The part that an earlier fetch has left, if no other fetch is writing it.
fn left_part(part: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(part, flags, Mode::empty()).map(File::from) else {
        return Ok(None);
    };
    let metadata = file.metadata()?;
    let is_free = metadata.is_file()
        && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    // Another fetch may have completed meanwhile and renamed it.
    let there = part.symlink_metadata();
    let is_there =
        there.is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()));
    Ok((is_free && is_there).then_some(file))
}

fn validator_of(part: &Path) -> PathBuf {
    with_suffix(part, ".validator")
}

/// An open output.
pub(crate) struct Output {
    file: Arc<File>,
    /// The path of the part, if the output is a file.
    pub(crate) part: Option<PathBuf>,
    /// How many bytes an earlier fetch has left.
    pub(crate) had: u64,
    path: PathBuf,
    /// Whether a write may block for long, so another thread does it. A write to a file usually goes to the page
    /// cache.
    blocks: bool,
}

impl Output {
    /// The validator of the version that an earlier fetch has left.
    pub(crate) fn validator(&self) -> Option<String> {
        fs::read_to_string(validator_of(self.part.as_ref()?)).ok()
    }

    /// Begins to write, at the end of the part or from its start. Keeps the validator for a later fetch.
    pub(crate) fn begin(&mut self, goes_on: bool, validator: Option<&str>) -> Result<(), Failure> {
        let Some(part) = &self.part else {
            return Ok(());
        };
        if goes_on {
            let end = (&*self.file).seek(io::SeekFrom::End(0));
            return end.map(drop).map_err(|error| self.cannot_write(&error));
        }
        let emptied = self.file.set_len(0);
        emptied.map_err(|error| self.cannot_write(&error))?;
        self.had = 0;
        let kept = validator_of(part);
        let _ = fs::remove_file(&kept);
        if let Some(validator) = validator {
            // If it cannot be kept, a later fetch starts again.
            let new = OpenOptions::new().write(true).create_new(true).open(kept);
            let _ = new.and_then(|mut file| file.write_all(validator.as_bytes()));
        }
        Ok(())
    }

    pub(crate) async fn write(&self, handle: &Handle, bytes: Bytes) -> io::Result<()> {
        if !self.blocks {
            return (&*self.file).write_all(&bytes);
        }
        let file = Arc::clone(&self.file);
        let writing = handle.spawn_blocking(move || (&*file).write_all(&bytes));
        writing
            .map_err(io::Error::other)?
            .await
            .map_err(io::Error::other)?
    }

    pub(crate) fn cannot_write(&self, error: &io::Error) -> Failure {
        cannot_write(self.part.as_ref().unwrap_or(&self.path), error)
    }

    /// Replaces the file by its part, and returns its name.
    pub(crate) fn complete(&mut self) -> Result<Option<&Path>, Failure> {
        if let Some(part) = &self.part {
            let renamed = fs::rename(part, &self.path);
            renamed.map_err(|error| cannot_write(&self.path, &error))?;
            let _ = fs::remove_file(validator_of(part));
        }
        Ok(self.part.take().map(|_| self.path.as_path()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            remove_if_empty(part);
        }
    }
}

/// Removes an empty part.
pub(crate) fn remove_if_empty(part: &Path) {
    if part.symlink_metadata().is_ok_and(|part| part.len() == 0) {
        let _ = fs::remove_file(part);
        let _ = fs::remove_file(validator_of(part));
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.display(),
        _ => Path::new(".").display(),
    };
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("\nthe folder {folder} cannot be written to; name a file in another folder")
        }
        io::ErrorKind::NotFound => format!("\nthere is no folder {folder}; make it first"),
        _ => String::new(),
    };
    Failure(format!("cannot write {}: {error}{advice}", path.display()))
}
