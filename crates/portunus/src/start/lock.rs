//! One process per data folder: two would each publish what only the other has stored.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::fault::Faults;

/// Holds the folder until it is dropped; the system lets go of it when the process dies.
pub fn data_dir(folder: &Path) -> Result<File, Faults> {
    let unwritable = |error: std::io::Error| {
        Faults::one(format!(
            "the data directory {} cannot be written: {error}; make it writable, or set PORTUNUS_DATA_DIR to another directory",
            folder.display()
        ))
    };
    // E-mail addresses and hashes are nobody else's business on this machine.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join("portunus.lock"))
        .map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Faults::one(format!(
            "another Portunus process uses the data directory {}; stop it, or set PORTUNUS_DATA_DIR to another directory",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}
