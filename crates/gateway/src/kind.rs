//! The resource model: what every kind of configured thing has in common.
//!
//! A kind is one file with one struct. From its implementation of [`Kind`] follow storage, history, referential
//! checks, the API routes and their OpenAPI, permissions, audit and the CLI.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::problem::Problem;
use crate::schema;
use crate::secret::Keyring;
use crate::secret::field::{self, SecretField};

/// The identity of a resource: a UUIDv7, so ids sort by age.
pub type Id = Uuid;

/// The built-in tenant that owns what holds for the whole platform.
pub const PLATFORM_TENANT: &str = "platform";

/// What every resource has besides its kind's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// The resource's id.
    pub id: Id,
    /// The tenant it belongs to.
    pub tenant_id: Id,
    /// Its name, unique within tenant and kind.
    pub name: Arc<str>,
}

/// A stored resource of one kind.
#[derive(Debug)]
pub struct Entry<T> {
    /// Identity and owner.
    pub meta: Meta,
    /// The kind's own fields.
    pub spec: T,
}

/// A reference to another resource: an id or a name when it is sent, an id once it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ref(pub Id);

impl JsonSchema for Ref {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ref".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": 128, "description": "Id or name of another resource." })
    }
}

/// What happens to a resource when the one it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The deletion is refused unless it asks to cascade.
    Refuse,
    /// It goes along: it has no meaning without the other.
    Follow,
}

/// A field of a kind that refers to another kind.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// The field's name; a dot leads into an object.
    pub field: &'static str,
    /// The kind it refers to.
    pub kind: &'static str,
    /// Whether the field is an array of references.
    pub many: bool,
    /// What happens when the referred resource is deleted.
    pub on_delete: OnDelete,
    /// Whether a resource of the platform tenant may be referred to from any tenant.
    pub platform: bool,
}

impl Reference {
    /// A single reference within one tenant.
    pub const fn one(field: &'static str, kind: &'static str, on_delete: OnDelete) -> Self {
        Self { field, kind, many: false, on_delete, platform: false }
    }
}

/// A secret that is shown once, to the caller who made it, and never again.
#[derive(Clone, Serialize)]
pub struct OneTimeSecret {
    /// The field of the answer that carries it, such as `api_key`.
    pub field: &'static str,
    /// The secret itself.
    pub value: String,
}

impl std::fmt::Debug for OneTimeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OneTimeSecret({})", self.field)
    }
}

/// One kind of resource. The doc comments of the implementing struct are its documentation.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static {
    /// The kind's name in manifests, such as `Api`.
    const KIND: &'static str;
    /// Its plural in paths, such as `apis`.
    const PLURAL: &'static str;
    /// The noun of its permissions, such as `api` in `api:write`.
    const NOUN: &'static str;
    /// Fields that are kept but never leave the store.
    const HIDDEN: &'static [&'static str] = &[];
    /// Fields that hold a [`SecretText`](crate::secret::text::SecretText): sealed when they are stored, shown as marks.
    const SECRETS: &'static [SecretField] = &[];
    /// Fields that refer to other resources.
    const REFERENCES: &'static [Reference] = &[];

    /// Fields whose texts, joined by colons, are the name; without any, the name is chosen by the sender.
    const NAMED_BY: &'static [&'static str] = &[];

    /// Faults that the schema cannot express.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Turns what was sent into what is kept: hashes a password, makes a key, seals a secret. `before` is the stored
    /// resource on a change.
    fn prepare(&mut self, _before: Option<&Self>, _keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        Ok(None)
    }

    /// A name for a resource that was sent without one; `None` when the sender must choose.
    fn default_name(_id: Id) -> Option<String> {
        None
    }
}

/// What [`KindInfo::check`] makes of a document.
pub struct Prepared {
    /// The document as it is kept: complete, with defaults.
    pub spec: Value,
    /// A secret to show once.
    pub secret: Option<OneTimeSecret>,
}

/// Makes of a sent document, the stored one and the keys for secrets what is kept.
pub type Prepare = fn(&Value, Option<&Value>, &Keyring) -> Result<Prepared, Vec<Problem>>;

/// A [`Kind`] without its type, for code that handles all kinds alike.
pub struct KindInfo {
    /// See [`Kind::KIND`].
    pub kind: &'static str,
    /// See [`Kind::PLURAL`].
    pub plural: &'static str,
    /// See [`Kind::NOUN`].
    pub noun: &'static str,
    /// See [`Kind::HIDDEN`].
    pub hidden: &'static [&'static str],
    /// See [`Kind::SECRETS`].
    pub secrets: &'static [SecretField],
    /// See [`Kind::REFERENCES`].
    pub references: &'static [Reference],
    /// See [`Kind::NAMED_BY`].
    pub named_by: &'static [&'static str],
    /// The JSON Schema of the kind's own fields.
    pub schema: fn() -> Arc<schema::Checked>,
    /// Checks a document whose references are resolved to ids, given the stored one on a change.
    pub prepare: Prepare,
    /// Checks without preparing, as `portunus config check` does.
    pub check: fn(&Value) -> Vec<Problem>,
    /// See [`Kind::default_name`].
    pub default_name: fn(Id) -> Option<String>,
}

impl KindInfo {
    /// The description of `T`.
    pub const fn of<T: Kind>() -> Self {
        Self {
            kind: T::KIND,
            plural: T::PLURAL,
            noun: T::NOUN,
            hidden: T::HIDDEN,
            secrets: T::SECRETS,
            references: T::REFERENCES,
            named_by: T::NAMED_BY,
            schema: schema::of::<T>,
            prepare: prepare::<T>,
            check: |value| redacted::<T>(parse::<T>(value).err().unwrap_or_default()),
            default_name: T::default_name,
        }
    }

    /// A stored document as it is shown: hidden fields are left out, secrets are marks.
    pub fn show(&self, spec: &Value) -> Map<String, Value> {
        let mut shown = spec.clone();
        field::mask(self.secrets, &mut shown);
        self.without_hidden(shown)
    }

    /// The same with secrets as they are kept, sealed, for an export that can be applied where they are gone.
    pub fn show_sealed(&self, spec: &Value) -> Map<String, Value> {
        self.without_hidden(spec.clone())
    }

    fn without_hidden(&self, spec: Value) -> Map<String, Value> {
        let mut fields = match spec {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        for hidden in self.hidden {
            fields.remove(*hidden);
        }
        fields
    }

    /// The name that follows from the fields, for a kind that has such names.
    pub fn name_of(&self, spec: &Value) -> Option<String> {
        let texts: Option<Vec<&str>> = self.named_by.iter().map(|field| spec.get(field)?.as_str()).collect();
        texts.filter(|texts| !texts.is_empty()).map(|texts| texts.join(":"))
    }

    /// The first sentence-block of the kind's documentation.
    pub fn description(&self) -> String {
        (self.schema)().schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl std::fmt::Debug for KindInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind)
    }
}

/// The typed document, or every fault of both checks.
fn parse<T: Kind>(value: &Value) -> Result<T, Vec<Problem>> {
    let mut problems = match schema::parse::<T>(value) {
        Ok(spec) => {
            let mut problems = spec.check();
            problems.extend(field::check(T::SECRETS, value));
            return if problems.is_empty() { Ok(spec) } else { Err(problems) };
        }
        Err(problems) => problems,
    };
    // What the schema finds should not hide what the kind itself would find in the other fields.
    let mut rest = value.clone();
    let faulty: Vec<String> = problems.iter().map(|problem| top_field(&problem.path).to_owned()).collect();
    if let Some(fields) = rest.as_object_mut() {
        fields.retain(|name, _| !faulty.contains(name));
    }
    if let Ok(spec) = schema::parse::<T>(&rest) {
        problems.extend(
            spec.check().into_iter().filter(|problem| !faulty.iter().any(|field| top_field(&problem.path) == field)),
        );
    }
    Err(problems)
}

fn top_field(pointer: &str) -> &str {
    pointer.trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn prepare<T: Kind>(value: &Value, before: Option<&Value>, keys: &Keyring) -> Result<Prepared, Vec<Problem>> {
    let mut spec: T = parse(value).map_err(redacted::<T>)?;
    let known = before.and_then(|before| T::deserialize(before).ok());
    let secret = spec.prepare(known.as_ref(), keys).map_err(redacted::<T>)?;
    let mut spec = serde_json::to_value(&spec).expect("a resource serialises to JSON");
    field::settle(T::SECRETS, &mut spec, before, keys)?;
    Ok(Prepared { spec, secret })
}

fn redacted<T: Kind>(mut problems: Vec<Problem>) -> Vec<Problem> {
    field::redact(T::SECRETS, &mut problems);
    problems
}

/// The faults of a resource's name.
pub fn check_name(name: &str) -> Option<Problem> {
    let length = name.chars().count();
    let bad = length == 0
        || length > 128
        || name.trim() != name
        || matches!(name, "." | "..")
        || name.chars().any(|c| c.is_control() || matches!(c, '/' | '?' | '#' | '\\'));
    bad.then(|| {
        Problem::new(
            "/name",
            "not a usable name",
            "1 to 128 printable characters without / ? # \\ and without spaces at its ends",
        )
        .found(name)
    })
}
