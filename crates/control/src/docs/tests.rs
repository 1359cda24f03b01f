use portunus_gateway::policy::TYPES;

use super::*;
use crate::resource;

fn page(name: &str) -> String {
    pages().into_iter().find(|(known, _)| *known == name).map(|(_, page)| page).expect("the page exists")
}

#[test]
fn pages_are_always_the_same_and_end_with_one_line_break() {
    let pages = pages();
    assert_eq!(pages, super::pages());
    for (name, page) in &pages {
        assert!(page.starts_with("# ") && page.ends_with('\n') && !page.ends_with("\n\n"), "{name}");
        assert!(!page.contains("\n\n\n"), "{name}");
    }
}

#[test]
fn tables_have_the_same_number_of_cells_in_each_row() {
    for (name, page) in pages() {
        let mut width = None;
        for line in page.lines() {
            let cells = line.starts_with('|').then(|| line.replace("\\|", "").matches('|').count());
            if let (Some(width), Some(cells)) = (width, cells) {
                assert_eq!(width, cells, "{name}: {line}");
            }
            width = cells;
        }
    }
}

#[test]
fn everything_has_its_section() {
    let kinds = page("kinds.md");
    for kind in resource::all() {
        assert!(kinds.contains(&format!("\n## {}\n", kind.kind)), "{kind:?}");
        for hidden in kind.hidden {
            assert!(!kinds.contains(hidden), "{hidden}");
        }
    }
    let policies = page("policies.md");
    for known in TYPES {
        assert!(policies.contains(&format!("\n## {}\n", known.name)), "{}", known.name);
        for field in (known.schema)().schema["properties"].as_object().unwrap().keys() {
            assert!(policies.contains(&format!("| `{field}` |")), "{}.{field}", known.name);
        }
    }
    let errors = page("errors.md");
    for refusal in Refusal::ALL {
        assert!(errors.contains(&format!("| {} | `{}` |", refusal.status(), refusal.code())), "{refusal:?}");
    }
}

#[test]
fn metrics_have_their_type_and_labels() {
    let metrics = page("metrics.md");
    for row in [
        "| `portunus_http_requests_total` | counter | `tenant` `api` `status` |",
        "| `portunus_http_request_duration_seconds_bucket` `portunus_http_request_duration_seconds_sum` `portunus_http_request_duration_seconds_count` | histogram | `tenant` `api` |",
        "| `portunus_rate_limit_decisions_total` | counter | `policy_id` `policy` `decision` |",
        "| `portunus_connections` | gauge | – |",
    ] {
        assert!(metrics.contains(row), "{row} is missing:\n{metrics}");
    }
}

#[test]
fn fields_show_what_the_schema_says() {
    let kinds = page("kinds.md");
    for row in [
        "| `base_path` | string | required | 1 to 512 characters |",
        "| `upstream.targets[].weight` | integer | `1` | 0 to 100 |",
        "| `upstream_id` | Upstream, by id or name | – |",
        "| `priority` | integer | `100` | 0 to 10,000 |",
        "| `roles` | array of Role, each by id or name | `[]` | at most 32 items |",
    ] {
        assert!(kinds.contains(row), "{row} is missing:\n{kinds}");
    }
}
