//! Follows a file as `tail -F` does: it prints the bytes that are written to it, also after the file was
//! truncated or replaced by a new one. The file and its directory are watched; nothing is polled.
//!
//! ```text
//! cargo run --example tail FILE
//! ```
//!
//! Ctrl-C ends it.

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nio_examples::printed;
use nio_poll::{Events, FileChange, Poll, Signal, Token};

const FILE: Token = Token(0);
const DIRECTORY: Token = Token(1);
const CTRL_C: Token = Token(2);

/// The file that had the name at the last look.
struct Followed {
    file: File,
    /// The bytes before this offset have been printed.
    position: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(env::args_os().nth(1).ok_or("which file? try: tail FILE")?);
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = File::open(parent).map_err(|error| format!("{}: {error}", parent.display()))?;

    let poll = Poll::new()?;
    poll.register_signal(Signal::INTERRUPT, CTRL_C)?;
    // A new file under the name is a write to the directory.
    poll.register_file(&directory, DIRECTORY, FileChange::WRITTEN)?;
    let mut followed = follow(&poll, &path, SeekFrom::End(0))?;
    match followed {
        Some(_) => eprintln!("following {}", path.display()),
        None => eprintln!("waiting for {}", path.display()),
    }

    let mut events = Events::with_capacity(16);
    loop {
        poll.poll(&mut events, None)?;
        if events.iter().any(|event| event.token() == CTRL_C) {
            return Ok(());
        }
        // In this order: bytes that were written before the file lost its name are printed.
        let current = followed
            .as_ref()
            .is_some_and(|followed| has_name(&followed.file, &path));
        if let Some(followed) = &mut followed {
            print_new(followed)?;
        }
        if !current {
            if let Some(old) = followed.take() {
                poll.deregister_file(&old.file)?;
            }
            followed = follow(&poll, &path, SeekFrom::Start(0))?;
            if let Some(followed) = &mut followed {
                eprintln!("following a new {}", path.display());
                print_new(followed)?;
            }
        }
    }
}

/// Opens the file and watches it, if there is one.
fn follow(poll: &Poll, path: &Path, from: SeekFrom) -> Result<Option<Followed>, Box<dyn Error>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    };
    let position = file.seek(from)?;
    // Truncation is a write on some systems and a change of attributes on others.
    let changes = FileChange::WRITTEN
        | FileChange::EXTENDED
        | FileChange::ATTRIBUTES
        | FileChange::RENAMED
        | FileChange::DELETED;
    poll.register_file(&file, FILE, changes)?;
    Ok(Some(Followed { file, position }))
}

/// Prints the bytes that were written since the last call.
fn print_new(followed: &mut Followed) -> io::Result<()> {
    let Followed { file, position } = followed;
    if file.metadata()?.len() < *position {
        eprintln!("the file was truncated");
        *position = file.seek(SeekFrom::Start(0))?;
    }
    let mut out = io::stdout().lock();
    let mut bytes = [0; 16 * 1024];
    loop {
        match file.read(&mut bytes)? {
            0 => {
                printed(out.flush());
                return Ok(());
            }
            n => {
                printed(out.write_all(&bytes[..n]));
                *position += n as u64;
            }
        }
    }
}

/// Whether the name still belongs to the open file.
fn has_name(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => open.dev() == named.dev() && open.ino() == named.ino(),
        _ => false,
    }
}
