//! The fields of a kind that hold secrets: sealed when they are stored, shown as marks, sealed anew when keys change.

use serde_json::Value;

use super::text::{self, Form};
use super::{Keyring, is_sealed};
use crate::problem::Problem;

/// A field of a kind that holds a [`SecretText`](super::text::SecretText).
#[derive(Debug, Clone, Copy)]
pub struct SecretField {
    /// JSON Pointer to it; it may be missing.
    pub path: &'static str,
    /// What it is sealed for: a sealed value cannot be used for anything else.
    pub purpose: &'static str,
}

impl SecretField {
    /// The field at this place.
    pub const fn new(path: &'static str, purpose: &'static str) -> Self {
        Self { path, purpose }
    }
}

/// The faults of form of the secrets in a document, as far as they can be told without a store.
pub fn check(fields: &[SecretField], spec: &Value) -> Vec<Problem> {
    let texts = fields.iter().filter_map(|field| Some((field, spec.pointer(field.path)?.as_str()?)));
    texts
        .filter_map(|(field, text)| match Form::of(text) {
            Form::Unknown(expected) => Some(Problem::new(field.path, "not a secret", expected)),
            Form::Plain(text) if text.contains('\0') => {
                Some(Problem::new(field.path, "a secret has no NUL", "a text without it"))
            }
            _ => None,
        })
        .collect()
}

/// Turns the secrets that were sent into what is kept. A mark, and the secret that is there already, change nothing.
pub fn settle(
    fields: &[SecretField],
    spec: &mut Value,
    before: Option<&Value>,
    keys: &Keyring,
) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for field in fields {
        let Some(Value::String(sent)) = spec.pointer_mut(field.path) else { continue };
        let before = before.and_then(|before| before.pointer(field.path)).and_then(Value::as_str);
        match kept(sent, before, field.purpose, keys) {
            Ok(kept) => *sent = kept,
            Err((message, expected)) => problems.push(Problem::new(field.path, message, expected)),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn kept(sent: &str, before: Option<&str>, purpose: &str, keys: &Keyring) -> Result<String, (String, &'static str)> {
    let sealed_before = before.and_then(|text| match Form::of(text) {
        Form::Sealed { sealed, mark } => Some((text, sealed, mark)),
        _ => None,
    });
    match Form::of(sent) {
        Form::Plain(plain) => match sealed_before {
            Some((text, sealed, _)) if keys.open(sealed, purpose).is_ok_and(|known| known == plain) => {
                Ok(text.to_owned())
            }
            _ => Ok(text::marked(&keys.seal(plain, purpose))),
        },
        Form::Mark(mark) => match sealed_before {
            Some((text, _, known)) if known == mark => Ok(text.to_owned()),
            _ => Err((
                "this mark stands for no secret that is stored here".to_owned(),
                "the secret itself, `file:/path` or `env:NAME`",
            )),
        },
        Form::Reference(reference) => match keys.references.read(&reference) {
            Ok(_) => Ok(sent.to_owned()),
            Err(why) => Err((why, "a reference to a secret that can be read here")),
        },
        Form::Sealed { .. } => match keys.reseal(sent, purpose) {
            Ok(Some(anew)) => Ok(anew),
            Ok(None) if keys.open(text::split(sent).0, purpose).is_ok() => Ok(sent.to_owned()),
            _ => Err((
                "this sealed value does not open here".to_owned(),
                "one that this store has exported for this field, or the secret itself",
            )),
        },
        Form::Unknown(expected) => Err(("not a secret".to_owned(), expected)),
    }
}

/// Puts marks in the place of sealed secrets.
pub fn mask(fields: &[SecretField], spec: &mut Value) {
    for field in fields {
        if let Some(Value::String(text)) = spec.pointer_mut(field.path) {
            let shown = text::shown(text).into_owned();
            *text = shown;
        }
    }
}

/// The fields whose text is taken from the document as it was sent and could not have been typed from knowing the
/// secret: references and sealed values that were not there before.
pub fn taken_over<'f>(
    fields: &'f [SecretField],
    sent: &'f Value,
    before: Option<&'f Value>,
) -> impl Iterator<Item = &'f SecretField> {
    fields.iter().filter(move |field| {
        let Some(text) = sent.pointer(field.path).and_then(Value::as_str) else { return false };
        let is_same = before.and_then(|before| before.pointer(field.path)).and_then(Value::as_str) == Some(text);
        !is_same && matches!(Form::of(text), Form::Reference(_) | Form::Sealed { .. })
    })
}

/// Seals the secrets of a stored document under the current key; whether that changed it. What does not open stays.
pub fn reseal(fields: &[SecretField], spec: &mut Value, keys: &Keyring) -> bool {
    let mut is_changed = false;
    for field in fields {
        let Some(Value::String(text)) = spec.pointer_mut(field.path) else { continue };
        if !is_sealed(text) {
            continue;
        }
        match keys.reseal(text, field.purpose) {
            Ok(Some(anew)) => {
                *text = anew;
                is_changed = true;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(target: "control", %error, field = field.path, "secret_unreadable"),
        }
    }
    is_changed
}

/// Faults without what may be a secret: what stands at, above or beside one is not repeated.
pub fn redact(fields: &[SecretField], problems: &mut [Problem]) {
    for problem in problems {
        let touches = |field: &SecretField| {
            let beside = field.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            is_at_or_below(field.path, &problem.path) || (!beside.is_empty() && is_at_or_below(&problem.path, beside))
        };
        if fields.iter().any(touches) {
            problem.found = None;
        }
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::reference::References;
    use super::super::{Key, key_id};
    use super::*;

    const FIELDS: &[SecretField] = &[SecretField::new("/auth/token", "test")];

    fn keyring() -> Arc<Keyring> {
        Keyring::new(vec![("a".into(), Key::new(&[1; 32]))], "a", References::default())
    }

    fn settled(sent: &str, before: Option<&Value>, keys: &Keyring) -> Result<Value, Vec<Problem>> {
        let mut spec = json!({"auth": {"token": sent}});
        settle(FIELDS, &mut spec, before, keys).map(|()| spec)
    }

    fn mark(spec: &Value) -> String {
        let mut shown = spec.clone();
        mask(FIELDS, &mut shown);
        shown["auth"]["token"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_secret_is_sealed_and_its_mark_or_itself_changes_nothing() {
        let keys = keyring();
        let first = settled("hunter2", None, &keys).unwrap();
        assert!(!first.to_string().contains("hunter2"));
        assert!(mark(&first).starts_with("sealed:"));
        assert_eq!(settled("hunter2", Some(&first), &keys).unwrap(), first);
        assert_eq!(settled(&mark(&first), Some(&first), &keys).unwrap(), first);
        let second = settled("hunter3", Some(&first), &keys).unwrap();
        assert_ne!(mark(&second), mark(&first));
        assert!(settled(&mark(&first), Some(&second), &keys).is_err());
        assert!(settled(&mark(&first), None, &keys).is_err());
    }

    #[test]
    fn a_sealed_value_is_taken_where_it_opens() {
        let keys = keyring();
        let stored = settled("hunter2", None, &keys).unwrap();
        let text = stored["auth"]["token"].as_str().unwrap();
        assert_eq!(settled(text, None, &keys).unwrap(), stored);
        assert!(settled(text, None, &Keyring::ephemeral()).is_err());
        assert!(settled("enc:1:a:AAAA:x", None, &keys).is_err());
        assert_eq!(taken_over(FIELDS, &stored, None).count(), 1);
        assert_eq!(taken_over(FIELDS, &stored, Some(&stored)).count(), 0);
    }

    #[test]
    fn another_key_seals_anew_under_the_same_mark() {
        let keys = keyring();
        let stored = settled("hunter2", None, &keys).unwrap();
        keys.replace(vec![("a".into(), Key::new(&[1; 32])), ("b".into(), Key::new(&[2; 32]))], "b");
        let mut anew = stored.clone();
        assert!(reseal(FIELDS, &mut anew, &keys));
        assert!(!reseal(FIELDS, &mut anew, &keys));
        assert_eq!(mark(&anew), mark(&stored));
        assert_eq!(key_id(anew["auth"]["token"].as_str().unwrap()), Some("b"));
        assert_eq!(settled("hunter2", Some(&anew), &keys).unwrap(), anew);
    }

    #[test]
    fn faults_do_not_repeat_what_may_be_a_secret() {
        let found = |path: &str| {
            let mut problems = [Problem::new(path, "wrong", "right").found("hunter2")];
            redact(FIELDS, &mut problems);
            problems[0].found.is_some()
        };
        assert!(!found("/auth/token") && !found("/auth") && !found("") && !found("/auth/tocken"));
        assert!(found("/authority") && found("/name"));
    }
}
