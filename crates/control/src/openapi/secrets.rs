//! The keys that secrets are sealed with.

use serde_json::{Value, json};

use super::Operations;
use super::operation::{Operation, schema};
use crate::access::Verb;

/// The tag of these operations.
pub const TAG: (&str, &str) = ("secrets", "The keys that secrets are sealed with.");

/// The operations.
pub fn operations() -> Operations {
    let rotate = Operation::new("rotateSecrets", TAG.0, "Seal all secrets anew with a new key")
        .description("Takes some seconds, while everything goes on. Broken off, it is finished by the next one.")
        .permission("secret", Verb::Write)
        .answers(200, "What was done.", schema("SecretsRotated"))
        .refuses(&[409, 503]);
    vec![("/v1/secrets/rotate".to_owned(), "post", rotate)]
}

/// The schemas that only these operations have.
pub fn schemas() -> Vec<(String, Value)> {
    let ids = |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    let rotated = json!({
        "type": "object",
        "properties": {
            "key": {"type": "string", "description": "The id of the key that seals from now on."},
            "resealed": {"type": "integer", "minimum": 0, "description": "How many values were sealed anew."},
            "deleted": ids("The ids of the keys that were deleted."),
            "left": ids("Tables and columns that still need an old key, which was kept for that. Normally none."),
        },
        "required": ["key", "resealed", "deleted", "left"],
        "additionalProperties": false,
    });
    vec![("SecretsRotated".to_owned(), rotated)]
}
