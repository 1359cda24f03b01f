//! What commands print. Everything that goes to standard output or standard error goes through here.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use clap::ValueEnum;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

use crate::settings::layers::plain;
use portunus_control::yaml;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns, for people
    Table,
    /// JSON, for programs
    Json,
    /// YAML, for both
    Yaml,
}

/// Writes `text` to standard output and ends the line if it does not end with one.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes many texts to standard output as they are.
pub fn print_all(texts: impl IntoIterator<Item = String>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for text in texts {
        out.write_all(text.as_bytes())?;
    }
    out.flush()
}

/// Writes a download to a file, or to standard output. A file gets its name when it is whole.
pub async fn save(mut download: reqwest::Response, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = file else {
        let mut out = io::stdout().lock();
        while let Some(piece) = download.chunk().await? {
            out.write_all(&piece)?;
        }
        return Ok(out.flush()?);
    };
    let part = path.with_added_extension("part");
    let unwritable = |error: io::Error| anyhow::anyhow!("{} cannot be written: {}", path.display(), plain(&error));
    let mut out =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(unwritable)?;
    while let Some(piece) = download.chunk().await? {
        out.write_all(&piece).map_err(unwritable)?;
    }
    out.sync_all().and_then(|()| std::fs::rename(&part, path)).map_err(unwritable)?;
    Ok(())
}

/// Writes `text` to standard error; there is nobody to tell if that fails.
pub fn complain(text: &str) {
    drop(writeln!(io::stderr().lock(), "{}", clean(text)));
}

/// Prints `value` as JSON or YAML, or what `table` makes when a table is wanted.
pub fn show(format: Format, value: &Value, table: impl FnOnce() -> String) -> io::Result<()> {
    match format {
        Format::Table => print(&table()),
        Format::Json => print(&json(value)),
        Format::Yaml => print(&yaml::print(std::slice::from_ref(value))),
    }
}

/// `value` as indented JSON.
pub fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value serialises")
}

/// Columns under a header. On a terminal they are fitted to its width.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.iter().map(|title| title.to_uppercase()).collect::<Vec<_>>());
    table.set_content_arrangement(match io::stdout().is_terminal() {
        true => ContentArrangement::Dynamic,
        false => ContentArrangement::Disabled,
    });
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A JSON value in a table's cell.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// `text` without control characters that could drive a terminal.
pub fn clean(text: &str) -> String {
    let keep = |c: char| !c.is_control() || c == '\n';
    text.chars().map(|c| if keep(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_aligned_and_cannot_drive_a_terminal() {
        let text = table(&["name", "path"], [vec!["a".into(), "/x".into()], vec!["long\u{1b}[2J".into(), "/y".into()]]);
        assert_eq!(text, "NAME      PATH\na         /x\nlong\u{fffd}[2J  /y");
    }

    #[test]
    fn cells_are_short() {
        assert_eq!(cell(&json!(["GET", "POST"])), "GET,POST");
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!({"a": 1})), "{\"a\":1}");
    }
}
