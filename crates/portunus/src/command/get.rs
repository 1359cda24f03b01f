//! `portunus get`: what is configured.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::kind::Kinds;
use crate::output;

const AFTER_HELP: &str = "\
Examples:
  portunus get apis
  portunus get consumers -t acme -q
  portunus get policy fair-use -o yaml
  portunus get subscriptions --where status=pending";

/// The most that one page of the API holds.
const PAGE_SIZE: &str = "100";
/// Columns that say the same for every kind.
const ALWAYS: [&str; 3] = ["name", "revision", "updated_at"];
/// Fields that are too long, or of no use, in a table of many.
const NEVER: [&str; 6] = ["id", "tenant_id", "created_at", "display_name", "description", "credential_type"];
/// How many of a kind's own fields a table shows.
const OWN_COLUMNS: usize = 4;

/// List resources, or show one
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// What kind: Api, apis or api; likewise policy, consumer, subscription, tenant ...
    kind: String,
    /// Name or id of one resource; without it, all are listed
    name: Option<String>,
    /// Tenant, by name or id
    #[arg(short, long, default_value = "default")]
    tenant: String,
    /// Only resources in which this field has this value; can be given several times
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = pair)]
    filters: Vec<(String, String)>,
    /// Only resources in which this text occurs
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.to_owned(), value.to_owned())),
        _ => Err("is not of the form FIELD=VALUE".to_owned()),
    }
}

/// Fetches and prints.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        let kinds = Kinds::fetch(&client).await?;
        let path = kinds.path(&args.kind, &args.tenant)?;
        if let Some(name) = &args.name {
            let resource = client.get(&path.with(name), &[]).await?;
            match args.quiet {
                true => output::print(resource["name"].as_str().unwrap_or(name))?,
                false => output::show(context.format(), &resource, || fields(&resource))?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let items = all(&client, &path.segments(), args).await?;
        match args.quiet {
            true => output::print_all(
                items.iter().filter_map(|item| item["name"].as_str()).map(|name| format!("{name}\n")),
            )?,
            false => output::show(context.format(), &json!({"items": items}), || list(&items))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Every page of a list.
async fn all(client: &Client, path: &[&str], args: &Args) -> anyhow::Result<Vec<Value>> {
    let mut query: Vec<(&str, String)> = vec![("page_size", PAGE_SIZE.to_owned())];
    query.extend(args.search.iter().map(|text| ("q", text.clone())));
    query.extend(args.filters.iter().map(|(field, value)| (field.as_str(), value.clone())));
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = query.clone();
        query.extend(cursor.iter().map(|cursor| ("cursor", cursor.clone())));
        let mut page = client.get(path, &query).await?;
        if let Value::Array(mut found) = page["items"].take() {
            items.append(&mut found);
        }
        let next = page["next_cursor"].as_str().filter(|next| !next.is_empty()).map(str::to_owned);
        // A cursor that comes twice would never end.
        if next.is_none() || next == cursor {
            return Ok(items);
        }
        cursor = next;
    }
}

/// A table of many: name, the kind's first plain fields, revision and time.
fn list(items: &[Value]) -> String {
    if items.is_empty() {
        return "nothing found".to_owned();
    }
    let is_plain = |field: &str| {
        let mut values = items.iter().map(|item| &item[field]).filter(|value| !value.is_null()).peekable();
        values.peek().is_some() && values.all(|value| !value.is_object() && !value.is_array())
    };
    let mut own: Vec<&str> = Vec::new();
    for field in items.iter().filter_map(Value::as_object).flat_map(|item| item.keys()) {
        let is_new =
            !own.contains(&field.as_str()) && !ALWAYS.contains(&field.as_str()) && !NEVER.contains(&field.as_str());
        if is_new && own.len() < OWN_COLUMNS && is_plain(field) {
            own.push(field);
        }
    }
    let columns: Vec<&str> = [&ALWAYS[..1], &own, &ALWAYS[1..]].concat();
    let titles: Vec<&str> = columns
        .iter()
        .map(|column| column.strip_suffix("_at").filter(|_| *column == "updated_at").unwrap_or(column))
        .collect();
    output::table(&titles, items.iter().map(|item| columns.iter().map(|column| output::cell(&item[*column])).collect()))
}

/// A table of one: field and value.
fn fields(resource: &Value) -> String {
    let rows = resource.as_object().into_iter().flatten();
    output::table(&["field", "value"], rows.map(|(field, value)| vec![field.clone(), output::cell(value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_the_plain_fields_of_its_kind() {
        let items = [
            json!({"id": "1", "tenant_id": "t", "name": "orders", "revision": 3, "created_at": "x", "updated_at": "y", "version": "v1",
                   "display_name": "Orders", "base_path": "/orders", "upstream": {"targets": []}, "hosts": ["a"], "access": "public"}),
            json!({"name": "users", "revision": 1, "updated_at": "z", "version": "v1", "base_path": "/users", "upstream_id": "u"}),
        ];
        let text = list(&items);
        let mut lines = text.lines();
        let words = |line: Option<&str>| line.unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            words(lines.next()),
            ["NAME", "VERSION", "BASE_PATH", "ACCESS", "UPSTREAM_ID", "REVISION", "UPDATED"]
        );
        assert_eq!(words(lines.next()), ["orders", "v1", "/orders", "public", "-", "3", "y"]);
        assert_eq!(list(&[]), "nothing found");
    }

    #[test]
    fn filters_are_pairs() {
        assert_eq!(pair("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
