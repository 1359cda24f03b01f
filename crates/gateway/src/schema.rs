//! Checks a JSON value against the JSON Schema of a Rust type and reports every fault at once.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::Problem;

/// The schema of a time: RFC 3339 text.
pub struct Time;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// A type's JSON Schema (2020-12) and its compiled validator.
pub struct Checked {
    /// The schema as JSON.
    pub schema: Value,
    validator: Validator,
}

/// The schema of `T`, made once per process.
pub fn of<T: JsonSchema + 'static>() -> Arc<Checked> {
    static ALL: OnceLock<Mutex<HashMap<TypeId, Arc<Checked>>>> = OnceLock::new();
    let mut all = ALL.get_or_init(Mutex::default).lock().expect("no code panics while it holds this lock");
    all.entry(TypeId::of::<T>())
        .or_insert_with(|| {
            let schema = schemars::schema_for!(T).to_value();
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&schema)
                .expect("schemars writes valid schemas");
            Arc::new(Checked { schema, validator })
        })
        .clone()
}

/// `value` as a `T`, or every fault that the schema finds in it.
pub fn parse<T: JsonSchema + DeserializeOwned + 'static>(value: &Value) -> Result<T, Vec<Problem>> {
    let checked = of::<T>();
    let problems: Vec<Problem> =
        checked.validator.iter_errors(value).flat_map(|error| problems(&error, &checked.schema)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    T::deserialize(value).map_err(|error| vec![Problem::new("", error.to_string(), "a value of the documented form")])
}

fn problems(error: &ValidationError<'_>, schema: &Value) -> Vec<Problem> {
    let path = error.instance_path().to_string();
    let found = error.instance().as_ref().clone();
    let one =
        |message: &str, expected: String| vec![Problem::new(path.clone(), message, expected).found(found.clone())];
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_fields(error, schema);
            unexpected
                .iter()
                .map(|field| {
                    let place = format!("{path}/{}", escape(field));
                    let problem = Problem::new(place, format!("unknown field `{field}`"), known.clone());
                    match error.instance().get(field) {
                        Some(value) => problem.found(value.clone()),
                        None => problem,
                    }
                })
                .collect()
        }
        ValidationErrorKind::Required { property } => {
            let field = property.as_str().unwrap_or_default();
            vec![Problem::new(
                format!("{path}/{}", escape(field)),
                format!("`{field}` is missing"),
                format!("a value for `{field}`"),
            )]
        }
        ValidationErrorKind::Enum { options } => {
            let known = options.as_array().map(|options| options.iter().map(text).collect::<Vec<_>>().join(", "));
            one("not one of the known values", format!("one of {}", known.unwrap_or_default()))
        }
        ValidationErrorKind::Constant { expected_value } => one("not the known value", expected_value.to_string()),
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                jsonschema::error::TypeKind::Single(kind) => kind.to_string(),
                jsonschema::error::TypeKind::Multiple(kinds) => {
                    kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")
                }
            };
            one("wrong type", format!("a value of type {wanted}"))
        }
        ValidationErrorKind::Minimum { limit } => one("too small", format!("at least {limit}")),
        ValidationErrorKind::Maximum { limit } => one("too large", format!("at most {limit}")),
        ValidationErrorKind::ExclusiveMinimum { limit } => one("too small", format!("more than {limit}")),
        ValidationErrorKind::MinLength { limit } => one("too short", format!("at least {limit} characters")),
        ValidationErrorKind::MaxLength { limit } => one("too long", format!("at most {limit} characters")),
        ValidationErrorKind::MinItems { limit } => one("too few items", format!("at least {limit} items")),
        ValidationErrorKind::MaxItems { limit } => one("too many items", format!("at most {limit} items")),
        ValidationErrorKind::Format { format } if format == "date-time" => {
            one("not a time", "a time such as 2030-01-31T12:00:00Z (RFC 3339)".to_owned())
        }
        ValidationErrorKind::Pattern { pattern } => one("wrong form", format!("text that matches {pattern}")),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            if let Some(values) = known_values(context) {
                return one("not one of the known values", format!("one of {values}"));
            }
            let closest = context
                .iter()
                .filter(|errors| !errors.is_empty() && !wants_null(errors))
                .max_by_key(|errors| depth(errors));
            match closest {
                Some(errors) => errors.iter().flat_map(|error| problems(error, schema)).collect(),
                None => one("wrong form", error.to_string()),
            }
        }
        _ => {
            vec![Problem::new(path.clone(), error.masked().to_string(), "a value of the documented form").found(found)]
        }
    }
}

/// The values of an enum whose variants are documented: each of them is a branch with one constant.
fn known_values(branches: &[Vec<ValidationError<'_>>]) -> Option<String> {
    let values: Option<Vec<String>> = branches
        .iter()
        .map(|errors| match errors.as_slice() {
            [error] => match error.kind() {
                ValidationErrorKind::Constant { expected_value } => Some(text(expected_value)),
                ValidationErrorKind::Enum { options } => {
                    Some(options.as_array()?.iter().map(text).collect::<Vec<_>>().join(", "))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    values.map(|values| values.join(", "))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether this is the branch of an optional field that stands for leaving it out.
fn wants_null(errors: &[ValidationError<'_>]) -> bool {
    let is_null = |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Type { kind: jsonschema::error::TypeKind::Single(kind) } if kind.to_string() == "null");
    matches!(errors, [error] if is_null(error))
}

/// The branch whose faults lie deepest is the one that the author meant (`null` is never deep).
fn depth(errors: &[ValidationError<'_>]) -> usize {
    errors.iter().map(|error| error.instance_path().to_string().matches('/').count()).max().unwrap_or(0)
}

/// The fields that the schema has where the fault was found.
fn known_fields(error: &ValidationError<'_>, schema: &Value) -> String {
    let path = error.schema_path().to_string();
    let of = path.rsplit_once('/').and_then(|(object, _)| schema.pointer(object));
    let fields = of.and_then(|of| of.get("properties")).and_then(Value::as_object);
    match fields {
        Some(fields) if !fields.is_empty() => {
            format!("one of {}", fields.keys().cloned().collect::<Vec<_>>().join(", "))
        }
        _ => "only documented fields".to_owned(),
    }
}

/// One reference token of a JSON Pointer (RFC 6901 section 3).
pub fn escape(field: &str) -> String {
    field.replace('~', "~0").replace('/', "~1")
}
