//! The page of the policy types.

use portunus_gateway::policy::{Phase, PolicyType, TYPES};
use serde_json::Value;

use super::{fields, link, paragraphs};

/// The page.
pub fn page() -> String {
    let rows: String = TYPES
        .iter()
        .map(|known| {
            format!(
                "| {} | {} | {} |\n",
                link(known.name),
                phase(known.phase),
                if known.stacks { "add up" } else { "one applies" }
            )
        })
        .collect();
    let mut page = format!(
        "# Policy types\n\n\
         A policy has a `policy_type` and a `config`. The phase says when in the walk of a request it is asked. Of most types\n\
         one policy applies to a call, the one with the lowest `priority`; policies of the other types add up. More in\n\
         [Policies](../policies.md).\n\n\
         | type | phase | several on one call |\n|---|---|---|\n{rows}"
    );
    for known in TYPES {
        page.push_str(&section(known));
    }
    page
}

fn section(known: &PolicyType) -> String {
    let checked = (known.schema)();
    let description = checked.schema["description"].as_str().unwrap_or_default();
    format!(
        "\n## {}\n\n{}\n\n{}\nExample of `config`:\n\n```yaml\n{}\n```\n",
        known.name,
        paragraphs(description),
        fields::table(&checked.schema, &|_| None),
        known.example.trim_end()
    )
}

/// The phase's name as `/v1/policy-types` shows it.
fn phase(phase: Phase) -> String {
    serde_json::to_value(phase).ok().as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}
