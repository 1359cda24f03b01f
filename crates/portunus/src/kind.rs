//! The kinds of resources that a running process knows, and their paths in its API.

use serde_json::Value;

use crate::client::Client;
use crate::fault::Exit;

/// Every kind of `GET /v1/kinds`.
#[derive(Debug)]
pub struct Kinds(Vec<Kind>);

#[derive(Debug)]
struct Kind {
    kind: String,
    plural: String,
    noun: String,
}

/// Where the resources of one kind in one tenant are.
#[derive(Debug)]
pub struct Path(Vec<String>);

impl Path {
    /// The list.
    pub fn segments(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// One resource.
    pub fn with<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let mut segments = self.segments();
        segments.push(name);
        segments
    }
}

impl Kinds {
    /// Asks the process.
    pub async fn fetch(client: &Client) -> anyhow::Result<Self> {
        let answer = client.get(&["v1", "kinds"], &[]).await?;
        Ok(Self::of(&answer))
    }

    fn of(answer: &Value) -> Self {
        let list = [answer, &answer["items"], &answer["kinds"]].into_iter().find_map(Value::as_array);
        let text = |kind: &Value, field: &str| kind[field].as_str().unwrap_or_default().to_owned();
        let kinds = list.into_iter().flatten();
        Self(
            kinds
                .map(|kind| Kind { kind: text(kind, "kind"), plural: text(kind, "plural"), noun: text(kind, "noun") })
                .collect(),
        )
    }

    /// The path of a kind that is named in any of its forms: `ServiceAccount`, `service-accounts`, `service_account`.
    pub fn path(&self, word: &str, tenant: &str) -> Result<Path, Exit> {
        let wanted = plain(word);
        let found =
            self.0.iter().find(|kind| [&kind.kind, &kind.plural, &kind.noun].iter().any(|form| plain(form) == wanted));
        let Some(kind) = found else {
            let known: Vec<&str> = self.0.iter().map(|kind| kind.plural.as_str()).collect();
            return Err(Exit::usage(format!("there is no kind \"{word}\"; known are {}", known.join(", "))));
        };
        let mut path = vec!["v1".to_owned(), "tenants".to_owned()];
        if kind.plural != "tenants" {
            path.extend([tenant.to_owned(), kind.plural.clone()]);
        }
        Ok(Path(path))
    }
}

fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_has_many_names() {
        let answer = json!({"items": [
            {"kind": "Api", "plural": "apis", "noun": "api"},
            {"kind": "Policy", "plural": "policies", "noun": "policy"},
            {"kind": "ServiceAccount", "plural": "service-accounts", "noun": "service_account"},
            {"kind": "Tenant", "plural": "tenants", "noun": "tenant"}]});
        let kinds = Kinds::of(&answer);
        let path = |word: &str| kinds.path(word, "acme").map(|path| path.0.join("/"));
        for word in ["Api", "api", "apis", "APIs"] {
            assert_eq!(path(word).unwrap(), "v1/tenants/acme/apis");
        }
        for word in ["ServiceAccount", "serviceaccounts", "service-account", "service_accounts"] {
            assert_eq!(path(word).unwrap(), "v1/tenants/acme/service-accounts", "{word}");
        }
        assert_eq!(path("tenant").unwrap(), "v1/tenants");
        assert_eq!(
            path("gizmo").unwrap_err().to_string(),
            "there is no kind \"gizmo\"; known are apis, policies, service-accounts, tenants"
        );
        assert_eq!(Kinds::of(&answer["items"]).0.len(), 4);
    }
}
