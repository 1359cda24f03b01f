//! The body of a call: JSON, bounded in size and depth, and readable in one way only.

mod unique;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::error::ApiError;

/// A JSON object. An empty body is an empty object.
pub struct Object(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Object {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large("the body is larger than this call takes"),
            _ => ApiError::bad_request("the body broke off"),
        })?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(ApiError::media_type("application/json"));
        }
        match unique::read(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(ApiError::bad_request("the body is JSON, but not an object")),
            Err(error) => Err(ApiError::bad_request(format!("the body is not JSON: {error}"))),
        }
    }
}

impl Object {
    /// Takes a text field out.
    pub fn text(&mut self, field: &str) -> Result<Option<String>, ApiError> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(ApiError::invalid(vec![
                portunus_gateway::problem::Problem::new(format!("/{field}"), "wrong type", "a value of type string")
                    .found(other),
            ])),
        }
    }

    /// What is left, as the fields of a resource.
    pub fn into_spec(self) -> Value {
        Value::Object(self.0)
    }
}
