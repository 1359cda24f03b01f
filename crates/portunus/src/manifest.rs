//! Manifests: the files that say what should be configured.
//!
//! Reads YAML and JSON, one or many documents a file, and remembers the line of everything, so that a fault found here or
//! by the control plane is told with its file and line.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use portunus_gateway::problem::Problem;
use serde_json::Value;

use crate::fault::Faults;
use crate::settings::layers::plain;
use crate::yaml::{self, Content, Node};

/// The path that means standard input.
const STDIN: &str = "-";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A manifest and where it stands.
#[derive(Debug)]
pub struct Manifest {
    /// The file.
    file: String,
    /// Its content.
    node: Node,
}

impl Manifest {
    /// The manifest as JSON.
    pub fn value(&self) -> Value {
        self.node.to_value()
    }
}

/// The manifests in files, folders and `-`, standard input; or everything that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Manifest>, Faults> {
    let mut faults = Faults::default();
    let manifests = collect(paths, &mut faults);
    faults.or(manifests)
}

/// The manifests of [`read`] after the offline check; or every fault of both steps.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Manifest>, Faults> {
    let mut faults = Faults::default();
    let manifests = collect(paths, &mut faults);
    let values: Vec<Value> = manifests.iter().map(Manifest::value).collect();
    for problem in portunus_control::manifest::check(&values) {
        faults.push(sentence(&manifests, &problem));
    }
    faults.or(manifests)
}

fn collect(paths: &[PathBuf], faults: &mut Faults) -> Vec<Manifest> {
    let mut manifests = Vec::new();
    for (file, text) in paths.iter().flat_map(|path| texts(path)) {
        match text {
            Ok(text) => parse(&text, &file, &mut manifests, faults),
            Err(error) => faults.push(format!("{file}: cannot be read: {error}")),
        }
    }
    manifests
}

/// Adds the manifests of one text.
fn parse(text: &str, file: &str, manifests: &mut Vec<Manifest>, faults: &mut Faults) {
    let documents = yaml::parse(text, file).unwrap_or_else(|sentence| {
        faults.push(sentence);
        Vec::new()
    });
    for node in documents.into_iter().flat_map(unwrap) {
        match node.is_mapping() {
            true => manifests.push(Manifest { file: file.to_owned(), node }),
            false => faults.push(format!(
                "{file} line {}: is not a manifest, a mapping with apiVersion, kind, metadata and spec",
                node.line
            )),
        }
    }
}

/// The manifests of a document: itself, the items of a sequence, or those of an export (`{"manifests": [...]}`).
fn unwrap(document: Node) -> Vec<Node> {
    match document.content {
        Content::List(items) => items,
        Content::Map(entries) if entries.len() == 1 && entries[0].0 == "manifests" => {
            entries.into_iter().flat_map(|(.., node)| unwrap(node)).collect()
        }
        content => vec![Node { line: document.line, content }],
    }
}

/// A fault of one of `manifests` with its file and line. Its path begins with the manifest's index, `/3/spec/base_path`,
/// or with `/manifests/3`, as the control plane says it.
pub fn sentence(manifests: &[Manifest], problem: &Problem) -> String {
    let path = problem.path.strip_prefix("/manifests").unwrap_or(&problem.path);
    let (index, rest) = match path.strip_prefix('/').unwrap_or(path).split_once('/') {
        Some((index, rest)) => (index, format!("/{rest}")),
        None => (path.trim_start_matches('/'), String::new()),
    };
    let Some(manifest) = index.parse().ok().and_then(|index: usize| manifests.get(index)) else {
        return problem.to_string();
    };
    let line = manifest.node.line_of(&rest);
    let problem = Problem { path: rest, ..problem.clone() };
    format!("{} line {line}: {problem}", manifest.file)
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

    const TWO: &str = "kind: Api\nspec:\n  base_path: /a\n---\n\nkind: Plan\nspec:\n  limits:\n  - 1\n";

    fn parsed(text: &str) -> Result<Vec<Manifest>, Faults> {
        let mut faults = Faults::default();
        let mut manifests = Vec::new();
        parse(text, "x.yaml", &mut manifests, &mut faults);
        faults.or(manifests)
    }

    #[test]
    fn files_hold_many_manifests_in_several_forms() {
        assert_eq!(parsed(TWO).unwrap().len(), 2);
        assert_eq!(parsed("- kind: A\n- kind: B\n").unwrap().len(), 2);
        assert_eq!(parsed("{\"manifests\": [{\"kind\": \"A\"}, {\"kind\": \"B\"}]}").unwrap()[1].value()["kind"], "B");
        assert_eq!(parsed("# nothing\n").unwrap().len(), 0);
        let wrong = parsed("kind: A\n---\njust text\n---\n- 1\n").unwrap_err();
        assert_eq!(wrong.sentences().len(), 2, "{wrong}");
        assert!(wrong.sentences()[0].starts_with("x.yaml line 3: is not a manifest"), "{wrong}");
    }

    #[test]
    fn faults_name_file_and_line() {
        let manifests = parsed(TWO).unwrap();
        let at = |path: &str| sentence(&manifests, &Problem::new(path, "wrong", "right"));
        assert_eq!(at("/0/spec/base_path"), "x.yaml line 3: /spec/base_path: wrong; expected right");
        assert_eq!(at("/manifests/1/spec/limits/0"), "x.yaml line 9: /spec/limits/0: wrong; expected right");
        assert_eq!(at("/1/metadata/name"), "x.yaml line 6: /metadata/name: wrong; expected right");
        assert_eq!(at("/1"), "x.yaml line 6: wrong; expected right");
        assert_eq!(at("/prune"), "/prune: wrong; expected right");
    }

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
