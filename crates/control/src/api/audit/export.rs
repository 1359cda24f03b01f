//! The record as a file: JSON lines or CSV, the oldest first, with hashes and seals, streamed.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, Value};

use super::query::{filter, nothing_else};
use super::{AUDIT_READ, read};
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::audit::chain::ChainRow;
use crate::audit::readable::{Names, READABLE, readable};
use crate::control::Control;
use crate::store::audit::query::EventFilter;

/// Rows in memory at once.
const BATCH: u64 = 1_000;

/// The forms of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    JsonLines,
    Csv,
}

/// `GET /v1/audit/export`.
pub async fn export(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(mut parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let mut filter = filter(&mut parameters)?;
    let form = match parameters.remove("format").as_deref() {
        None | Some("jsonl") => Form::JsonLines,
        Some("csv") => Form::Csv,
        Some(other) => return Err(ApiError::bad_request(format!("`format` is jsonl or csv, and {other:?} is not"))),
    };
    filter.tenant_id = match parameters.remove("tenant") {
        Some(tenant) => Some(caller.tenant(&control, &tenant, AUDIT_READ).await?),
        None => caller.needs_everywhere(AUDIT_READ).map(|()| None)?,
    };
    nothing_else(&parameters, "format, tenant")?;
    control.audit.flush(false).await;
    read(&control, &caller, filter.tenant_id, "export");
    let (media_type, name) = match form {
        Form::JsonLines => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
        Form::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
    };
    let batches = stream::try_unfold(Some(0), move |after| {
        let (control, filter) = (control.clone(), filter.clone());
        async move {
            let Some(after) = after else { return Ok::<_, io::Error>(None) };
            let made = batch(&control, &filter, form, after).await.map_err(io::Error::other)?;
            Ok(Some(made))
        }
    });
    let headers = [(CONTENT_TYPE, media_type), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(batches)).into_response())
}

/// A piece of the file, and the row that it ends with; `None` after the last.
async fn batch(control: &Control, filter: &EventFilter, form: Form, after: u64) -> sqlx::Result<(Bytes, Option<u64>)> {
    let rows = control.store.events_after(filter, after, BATCH).await?;
    let names = control.store.names(&rows).await?;
    let text = match form {
        Form::JsonLines => json_lines(&rows, &names),
        Form::Csv => csv(&rows, &names, after == 0),
    };
    let next = rows.last().filter(|_| rows.len() as u64 == BATCH).map(|row| row.sequence);
    Ok((text.map_err(|error| sqlx::Error::Encode(error.into()))?.into(), next))
}

fn json_lines(rows: &[ChainRow], names: &Names) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(rows.len() * 1024);
    for row in rows {
        serde_json::to_writer(&mut text, &object(row, names)?)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// The fields of the chain, and what people read.
fn object(row: &ChainRow, names: &Names) -> io::Result<Map<String, Value>> {
    let Value::Object(mut fields) = serde_json::to_value(row)? else { unreachable!("a row is an object") };
    for (field, value) in READABLE.into_iter().zip(readable(row, names)) {
        fields.insert(field.to_owned(), value.into());
    }
    Ok(fields)
}

fn csv(rows: &[ChainRow], names: &Names, with_header: bool) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(rows.len() * 512));
    if with_header {
        writer.write_record(object(&ChainRow::default(), names)?.keys())?;
    }
    for row in rows {
        let fields = object(row, names)?;
        writer.write_record(fields.values().map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }))?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}
