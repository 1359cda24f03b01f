//! The process's secret key: the operator's, or one that is made at the first start and kept beside the store.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use portunus_gateway::api_key;

use crate::fault::Faults;

/// The key as bytes. Without one, a new one is made, unless there is a store already: it could not be opened with that.
pub fn load(given: Option<&str>, data_dir: &Path, store: &Path) -> Result<Vec<u8>, Faults> {
    if let Some(key) = given {
        return Ok(key.as_bytes().to_vec());
    }
    let path = data_dir.join("secret.key");
    let failed =
        |error: std::io::Error| Faults::one(format!("the secret key {} cannot be used: {error}", path.display()));
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => return Ok(text.trim().as_bytes().to_vec()),
        Ok(_) => return Err(failed(std::io::Error::new(ErrorKind::InvalidData, "it has fewer than 32 characters"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    if fs::metadata(store).is_ok_and(|about| about.len() > 0) {
        return Err(Faults::one(format!(
            "the secret key of the store {} is missing: restore {}, or set PORTUNUS_SECRET_KEY to the key that it was made with",
            store.display(),
            path.display()
        )));
    }
    let key = api_key::random_text(48);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key.into_bytes())
}
