//! Manifests as text: YAML or JSON, one or many in a text, each with the lines of its fields.

use portunus_gateway::problem::Problem;
use serde_json::Value;

use crate::yaml::{self, Content, Node};

/// A manifest and where it stands.
#[derive(Debug)]
pub struct Document {
    /// The file.
    file: String,
    /// Its content.
    node: Node,
}

impl Document {
    /// The manifest as JSON.
    pub fn value(&self) -> Value {
        self.node.to_value()
    }
}

/// The manifests of a text, or of what can be read of it; the sentences say what cannot.
pub fn read(text: &str, file: &str) -> (Vec<Document>, Vec<String>) {
    let mut manifests = Vec::new();
    let mut faults = Vec::new();
    let documents = yaml::parse(text, file).unwrap_or_else(|sentence| {
        faults.push(sentence);
        Vec::new()
    });
    for node in documents.into_iter().flat_map(unwrap) {
        match node.is_mapping() {
            true => manifests.push(Document { file: file.to_owned(), node }),
            false => faults.push(format!(
                "{file} line {}: is not a manifest, a mapping with apiVersion, kind, metadata and spec",
                node.line
            )),
        }
    }
    (manifests, faults)
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
pub fn sentence(manifests: &[Document], problem: &Problem) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "kind: Api\nspec:\n  base_path: /a\n---\n\nkind: Plan\nspec:\n  limits:\n  - 1\n";

    fn parsed(text: &str) -> Vec<Document> {
        let (manifests, faults) = read(text, "x.yaml");
        assert!(faults.is_empty(), "{faults:?}");
        manifests
    }

    #[test]
    fn files_hold_many_manifests_in_several_forms() {
        assert_eq!(parsed(TWO).len(), 2);
        assert_eq!(parsed("- kind: A\n- kind: B\n").len(), 2);
        assert_eq!(parsed("{\"manifests\": [{\"kind\": \"A\"}, {\"kind\": \"B\"}]}")[1].value()["kind"], "B");
        assert_eq!(parsed("# nothing\n").len(), 0);
        let (_, wrong) = read("kind: A\n---\njust text\n---\n- 1\n", "x.yaml");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with("x.yaml line 3: is not a manifest"), "{wrong:?}");
    }

    #[test]
    fn faults_name_file_and_line() {
        let manifests = parsed(TWO);
        let at = |path: &str| sentence(&manifests, &Problem::new(path, "wrong", "right"));
        assert_eq!(at("/0/spec/base_path"), "x.yaml line 3: /spec/base_path: wrong; expected right");
        assert_eq!(at("/manifests/1/spec/limits/0"), "x.yaml line 9: /spec/limits/0: wrong; expected right");
        assert_eq!(at("/1/metadata/name"), "x.yaml line 6: /metadata/name: wrong; expected right");
        assert_eq!(at("/1"), "x.yaml line 6: wrong; expected right");
        assert_eq!(at("/prune"), "/prune: wrong; expected right");
    }
}
