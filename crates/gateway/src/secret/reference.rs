//! Secrets that are not kept here but in a file or in the environment. Only what the operator set aside for it can be
//! referred to, or whoever may change a resource could read any file of the process.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::text::{LONGEST, Revealed};

/// Where a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    /// In this file.
    File(&'a Path),
    /// In this variable of the process's environment.
    Variable(&'a str),
}

/// The reference of a text, or what would be right; `None` when it does not begin like one.
pub fn parse(text: &str) -> Option<Result<Reference<'_>, &'static str>> {
    if let Some(path) = text.strip_prefix("file:") {
        let path = Path::new(path);
        let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        return Some(match path.is_absolute() && is_plain && !text.contains('\0') {
            true => Ok(Reference::File(path)),
            false => Err("`file:` and an absolute path without `..`, such as file:/run/secrets/orders"),
        });
    }
    let name = text.strip_prefix("env:")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    Some(
        is_name.then_some(Reference::Variable(name)).ok_or("`env:` and the name of a variable, such as env:ORDERS_KEY"),
    )
}

/// What secrets may refer to. By default nothing.
#[derive(Debug, Clone, Default)]
pub struct References {
    /// Files below these folders.
    pub folders: Vec<PathBuf>,
    /// Variables whose names begin so; empty for none.
    pub variables: String,
}

impl References {
    /// The secret, or why it cannot be had.
    pub fn read(&self, reference: &Reference<'_>) -> Result<Revealed, String> {
        self.permit(reference)?;
        let text = match reference {
            Reference::Variable(name) => {
                std::env::var(name).map_err(|_| format!("the variable {name} is not set in this process"))?
            }
            Reference::File(path) => self.file(path)?,
        };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() { Err("what it refers to is empty".to_owned()) } else { Ok(Revealed::new(text)) }
    }

    /// Refuses what was not set aside, before anything is looked at.
    fn permit(&self, reference: &Reference<'_>) -> Result<(), String> {
        match reference {
            Reference::Variable(name) if self.variables.is_empty() || !name.starts_with(&self.variables) => {
                Err(match self.variables.is_empty() {
                    true => "this process lets no variable be referred to".to_owned(),
                    false => format!("only variables that begin with {} can be referred to", self.variables),
                })
            }
            Reference::File(path) if !self.folders.iter().any(|folder| path.starts_with(folder)) => {
                let folders: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
                Err(format!("only files below these folders can be referred to: {}", folders.join(", ")))
            }
            _ => Ok(()),
        }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("the file cannot be read: {}", error.kind());
        // A link out of the folder leads nowhere; one inside it, as Kubernetes makes them, does.
        let real = fs::canonicalize(path).map_err(failed)?;
        let is_inside = |folder: &PathBuf| fs::canonicalize(folder).is_ok_and(|folder| real.starts_with(folder));
        if !self.folders.iter().any(is_inside) {
            return Err("it is a link that leads out of its folder".to_owned());
        }
        let about = fs::metadata(&real).map_err(failed)?;
        if !about.is_file() || about.len() > LONGEST as u64 {
            return Err(format!("it is not a file of at most {LONGEST} bytes"));
        }
        fs::read_to_string(&real).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_places_are_references() {
        let file = |path| Some(Ok(Reference::File(Path::new(path))));
        assert_eq!(parse("file:/run/secrets/x"), file("/run/secrets/x"));
        assert_eq!(parse("env:A_1"), Some(Ok(Reference::Variable("A_1"))));
        assert_eq!(parse("hunter2"), None);
        for wrong in ["file:", "file:x", "file:/a/../b", "file://../b", "file:/a\0", "env:", "env:A B", "env:A=1"] {
            assert!(matches!(parse(wrong), Some(Err(_))), "{wrong}");
        }
    }

    #[test]
    fn only_what_was_set_aside_is_read() {
        let nothing = References::default();
        let some = References { folders: vec!["/nowhere/secrets".into()], variables: "CARGO_PKG_".to_owned() };
        let variable = Reference::Variable("CARGO_PKG_NAME");
        assert_eq!(some.read(&variable).as_deref(), Ok("portunus-gateway"));
        assert!(nothing.read(&variable).is_err());
        assert!(some.read(&Reference::Variable("HOME")).is_err());
        let refused = some.read(&Reference::File(Path::new("/etc/hostname"))).unwrap_err();
        assert!(refused.contains("/nowhere/secrets"), "{refused}");
        assert!(some.read(&Reference::File(Path::new("/nowhere/secrets2/x"))).unwrap_err().contains("only files"));
        assert!(some.read(&Reference::File(Path::new("/nowhere/secrets/x"))).unwrap_err().contains("cannot be read"));
    }
}
