//! The pages of `docs/reference` that follow from the types: policies, kinds, errors, permissions, metrics.

mod fields;
mod kinds;
mod metrics;
mod policies;

use portunus_gateway::error::Refusal;

use crate::access::{BUILT_IN_ROLES, OTHER_NOUNS, Verb};
use crate::api::error::CODES;
use crate::resource;

/// Every page with its file name. The same code gives the same pages.
pub fn pages() -> Vec<(&'static str, String)> {
    let pages = [
        ("policies.md", policies::page()),
        ("kinds.md", kinds::page()),
        ("errors.md", errors()),
        ("permissions.md", permissions()),
        ("metrics.md", metrics::page()),
    ];
    pages.into_iter().map(|(name, page)| (name, page.trim_end().to_owned() + "\n")).collect()
}

fn errors() -> String {
    let table = |rows: &mut dyn Iterator<Item = (u16, &str, &str)>| -> String {
        rows.map(|(status, code, title)| format!("| {status} | `{code}` | {} |\n", cell(title))).collect()
    };
    let gateway = table(&mut Refusal::ALL.iter().map(|refusal| (refusal.status(), refusal.code(), refusal.title())));
    let control = table(&mut CODES.iter().copied());
    format!(
        "# Errors\n\n\
         A refusal is a problem document (RFC 9457, `application/problem+json`) with `type`, `title`, `status`, `detail`,\n\
         `code` and `request_id`. `code` is stable: branch on it and not on the texts. `type` is `https://portunus.dev/problems/`\n\
         and the code.\n\n\
         ## Of the gateway\n\n\
         What a caller of an API can meet.\n\n\
         | status | code | title |\n|---|---|---|\n{gateway}\n\
         401 and 403 of authentication say their reason in `WWW-Authenticate` too; 405 has `Allow`; 429 has `Retry-After`.\n\n\
         ## Of the control plane\n\n\
         What a caller of `/v1` can meet. `errors` lists every fault of what was sent: `path` (a JSON Pointer), `found`,\n\
         `message`, `expected`. The token endpoint answers as RFC 6749 says, with `error` and `error_description`.\n\n\
         | status | code | title |\n|---|---|---|\n{control}"
    )
}

fn permissions() -> String {
    let mut nouns: Vec<&str> = Vec::new();
    for kind in resource::all().filter(|kind| !kind.noun.is_empty()) {
        if !nouns.contains(&kind.noun) {
            nouns.push(kind.noun);
        }
    }
    let nouns: String = nouns
        .iter()
        .map(|noun| {
            let kinds: Vec<&str> = resource::all().filter(|kind| kind.noun == *noun).map(|kind| kind.kind).collect();
            format!("| `{noun}` | {} |\n", kinds.join(", "))
        })
        .chain(OTHER_NOUNS.iter().map(|(noun, what)| format!("| `{noun}` | {} |\n", cell(what))))
        .collect();
    let verbs: String = [
        (Verb::Read, "list, read, history, export"),
        (Verb::Write, "create, replace, change, roll back, apply, and steps such as approve, rotate, revoke"),
        (Verb::Delete, "delete, and apply with `prune`"),
    ]
    .iter()
    .map(|(verb, calls)| format!("| `{}` | {calls} |\n", verb.name()))
    .collect();
    let roles: String = BUILT_IN_ROLES
        .iter()
        .map(|(name, description, permissions)| {
            let permissions: Vec<String> = permissions.iter().map(|permission| format!("`{permission}`")).collect();
            format!("| `{name}` | {} | {} |\n", cell(description), permissions.join(" "))
        })
        .collect();
    format!(
        "# Permissions\n\n\
         A permission is `noun:verb`, such as `api:write`; `*` stands for every noun or verb. A role is a list of permissions;\n\
         users and service accounts have roles. What no role permits is refused with 403. An account of the tenant `platform`\n\
         acts in every tenant, any other in its own. Nobody can hand out more than they have.\n\n\
         ## Nouns\n\n| noun | of |\n|---|---|\n{nouns}\n\
         ## Verbs\n\n| verb | calls |\n|---|---|\n{verbs}\n\
         ## Built-in roles\n\n\
         These exist from the first start, in the tenant `platform`.\n\n\
         | role | what for | permissions |\n|---|---|---|\n{roles}"
    )
}

/// Text as it can stand in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A description as paragraphs, without the line breaks of its source.
fn paragraphs(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// A link to the heading of that name on the same page.
fn link(heading: &str) -> String {
    format!("[{heading}](#{})", heading.to_lowercase())
}

#[cfg(test)]
mod tests;
