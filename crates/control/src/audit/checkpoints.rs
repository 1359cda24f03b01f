//! Where checkpoints are kept: outside of the database, so that who writes there cannot rewrite them too.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::segment::make_folder;

/// The place of the checkpoints.
#[derive(Debug, Clone)]
pub enum Checkpointed {
    /// A file of JSON lines.
    File(PathBuf),
}

impl Checkpointed {
    /// Where it is, for people and for the note in the database.
    pub fn location(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
        }
    }

    /// All lines.
    pub async fn read(&self) -> io::Result<String> {
        match self {
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
                read => read,
            },
        }
    }

    /// Adds a line; when this returns, it is on disk.
    pub async fn append(&self, line: &str) -> io::Result<()> {
        match self {
            Self::File(path) => {
                let (path, line) = (path.clone(), format!("{line}\n"));
                tokio::task::spawn_blocking(move || append(&path, &line)).await.map_err(io::Error::other)?
            }
        }
    }
}

/// Adds a line to a file. What a power cut left of a line is taken away first.
fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    let is_new = !path.exists();
    if !is_new {
        let text = std::fs::read(path)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
        }
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if let Some(folder) = path.parent().filter(|folder| is_new && !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
