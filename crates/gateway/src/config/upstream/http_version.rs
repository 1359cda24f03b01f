//! How targets are spoken to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of HTTP that targets are spoken to with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpVersion {
    /// What a target with `https` chooses when the connection is made, HTTP/2 before HTTP/1.1. HTTP/1.1 with `http`.
    #[default]
    Auto,
    /// HTTP/1.1, always.
    Http1,
    /// HTTP/2, always: with `http` the target must expect it from the first byte, with `https` it must choose it.
    Http2,
}
