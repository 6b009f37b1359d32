//! Where a body is written: a part, which becomes the file when it is complete, or another output.
//!
//! The laws:
//!
//! 1. A part is created, never opened: what is there under its name, be it a link, is not written to. It has the
//!    permissions of the file that it replaces from the start.
//! 2. A part is locked while it is written. Another fetch of the same file has a part of its own.
//! 3. A file is replaced at once, by a rename. What has come stays in the part when the rest does not come, and is
//!    removed when nothing has.

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

/// What is written to.
pub(crate) enum Place {
    /// The standard output, for no path.
    Stdout,
    /// A device or a pipe: no file to be replaced by one.
    Other(PathBuf),
    /// A file: what a link points to, and not the link.
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
                Ok(metadata) => metadata.is_file() && !names_what_is_open(&path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                // Such as that of a link that leads to itself.
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

    /// Opens it. A file is replaced later, and until then is in its part.
    pub(crate) async fn open(self, handle: &Handle, continues: bool) -> Result<Output, Failure> {
        let (file, part, path) = match self {
            Place::Stdout => {
                let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
                (file, None, "the standard output".into())
            }
            Place::Other(path) => {
                // A pipe that has a name waits for its reader.
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

/// Whether a path is one such as /dev/stdout: not the place of a file, though it may look like a link
/// to one that somebody has redirected an output to.
fn names_what_is_open(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(path);
    let folder = Path::new(".").join(folder).canonicalize(); // of a mere name it is ""
    folder.is_ok_and(|folder| {
        folder.starts_with("/proc") || ["/dev", "/dev/fd"].map(Path::new).contains(&&*folder)
    })
}

/// The name of a part, or of what is kept beside it.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A new part, or the one that an earlier fetch has left.
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
                    // The mode above is less what the umask takes. Not every file system has permissions.
                    let _ = file.set_permissions(replaced);
                }
                return Ok((file, part));
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A part that is left and that nobody writes.
fn left_part(part: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(part, flags, Mode::empty()).map(File::from) else {
        return Ok(None);
    };
    let metadata = file.metadata()?;
    let is_free = metadata.is_file()
        && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    // A fetch that has ended since may have given it its own name.
    let there = part.symlink_metadata();
    let is_there =
        there.is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()));
    Ok((is_free && is_there).then_some(file))
}

fn validator_of(part: &Path) -> PathBuf {
    with_suffix(part, ".validator")
}

/// What is open to be written.
pub(crate) struct Output {
    file: Arc<File>,
    /// Where it is written until it is complete, if it is a file.
    pub(crate) part: Option<PathBuf>,
    /// How much was there before.
    pub(crate) had: u64,
    path: PathBuf,
    /// Files are written to memory, by and large, which does not keep the loop waiting. All else may,
    /// so that is for other threads.
    blocks: bool,
}

impl Output {
    /// What the server has said of the version of which a part is left.
    pub(crate) fn validator(&self) -> Option<String> {
        fs::read_to_string(validator_of(self.part.as_ref()?)).ok()
    }

    /// Begins to write: behind what is there, or from the start. The validator is kept for a later fetch.
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
            // Without it a later fetch cannot ask for the rest of this version only.
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

/// Removes a part to which nothing has come.
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
            format!("\nthe folder {folder} cannot be written to; name a file in another one")
        }
        io::ErrorKind::NotFound => format!("\nthere is no folder {folder}; make it first"),
        _ => String::new(),
    };
    Failure(format!("cannot write {}: {error}{advice}", path.display()))
}
