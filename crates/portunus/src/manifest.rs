//! Manifests: the files that say what should be configured.
//!
//! Finds the files and reads them as [`document`]s, so that a fault found here or by the control plane is told with its
//! file and line.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use portunus_control::manifest::document::{Document, sentence};
use portunus_control::manifest::{check, document};
use serde_json::Value;

use crate::fault::Faults;
use crate::settings::layers::plain;

/// The path that means standard input.
const STDIN: &str = "-";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The manifests in files, folders and `-`, standard input; or everything that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Document>, Faults> {
    let mut faults = Faults::default();
    let manifests = collect(paths, &mut faults);
    faults.or(manifests)
}

/// The manifests of [`read`] after the offline check; or every fault of both steps.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Document>, Faults> {
    let mut faults = Faults::default();
    let manifests = collect(paths, &mut faults);
    let values: Vec<Value> = manifests.iter().map(Document::value).collect();
    for problem in check(&values) {
        faults.push(sentence(&manifests, &problem));
    }
    faults.or(manifests)
}

fn collect(paths: &[PathBuf], faults: &mut Faults) -> Vec<Document> {
    let mut manifests = Vec::new();
    for (file, text) in paths.iter().flat_map(|path| texts(path)) {
        match text {
            Ok(text) => {
                let (read, sentences) = document::read(&text, &file);
                manifests.extend(read);
                sentences.into_iter().for_each(|sentence| faults.push(sentence));
            }
            Err(error) => faults.push(format!("{file}: cannot be read: {error}")),
        }
    }
    manifests
}

type Text = (String, Result<String, String>);

fn texts(path: &Path) -> Vec<Text> {
    if path.as_os_str() == STDIN {
        let mut text = String::new();
        let result = std::io::stdin().read_to_string(&mut text);
        return vec![("standard input".to_owned(), result.map(|_| text).map_err(|error| plain(&error)))];
    }
    let mut files = Vec::new();
    match list(path, &mut files) {
        Ok(()) => files
            .into_iter()
            .map(|file| (file.display().to_string(), fs::read_to_string(&file).map_err(|error| plain(&error))))
            .collect(),
        Err(error) => vec![(path.display().to_string(), Err(plain(&error)))],
    }
}

/// The file itself, or the manifests below a folder, ordered by name. Hidden entries and linked folders are left out.
fn list(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_manifest = path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&path, files)?;
        } else if is_manifest && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_and_all_faults_are_told() {
        let folder = std::env::temp_dir().join(format!("portunus-manifests-{}", std::process::id()));
        fs::create_dir_all(folder.join("b")).unwrap();
        fs::write(folder.join("c.json"), "{\"kind\": \"C\"}").unwrap();
        fs::write(folder.join("b/b.yml"), "kind: B\n").unwrap();
        fs::write(folder.join("a.yaml"), "kind: A\n").unwrap();
        fs::write(folder.join(".hidden.yaml"), "kind: [\n").unwrap();
        fs::write(folder.join("README.md"), "no manifest").unwrap();
        let manifests = read(std::slice::from_ref(&folder)).unwrap();
        let kinds: Vec<Value> = manifests.iter().map(|manifest| manifest.value()["kind"].clone()).collect();
        assert_eq!(kinds, ["A", "B", "C"]);
        fs::write(folder.join("d.yaml"), "kind: [\n").unwrap();
        let faults = read(&[folder.clone(), folder.join("gone.yaml")]).unwrap_err();
        assert_eq!(faults.sentences().len(), 2, "{faults}");
        assert!(faults.sentences()[1].ends_with("gone.yaml: cannot be read: no such file or directory"), "{faults}");
        fs::remove_dir_all(folder).unwrap();
    }
}
