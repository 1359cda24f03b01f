//! The pages of `docs/reference` that follow from the types: policies, kinds, errors, permissions, metrics.

mod fields;
mod kinds;
mod metrics;
mod permissions;
mod policies;

use portunus_gateway::error::Refusal;

use crate::api::error::CODES;

/// Every page with its file name. The same code gives the same pages.
pub fn pages() -> Vec<(&'static str, String)> {
    let pages = [
        ("policies.md", policies::page()),
        ("kinds.md", kinds::page()),
        ("errors.md", errors()),
        ("permissions.md", permissions::page()),
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
