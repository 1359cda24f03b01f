//! Permissions: a noun and a verb, and patterns of them.

use std::fmt;

use super::names;
use crate::resource;

/// What can be done to a kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// See it.
    Read,
    /// Create or change it.
    Write,
    /// Remove it.
    Delete,
}

impl Verb {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Delete];

    /// The verb's name in a permission.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// What a call needs: a noun and a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// A kind's noun, such as `api`.
    pub noun: &'static str,
    /// What is done to it.
    pub verb: Verb,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.noun, self.verb.name())
    }
}

impl Permission {
    /// `noun:verb`.
    pub const fn new(noun: &'static str, verb: Verb) -> Self {
        Self { noun, verb }
    }

    /// Why this text is not a permission, neither here nor in a system whose names are known.
    pub fn check(text: &str) -> Result<(), &'static str> {
        if names::permissions_named(text).is_some() {
            return Ok(());
        }
        let (noun, verb) = text.split_once(':').ok_or("a permission is noun:verb")?;
        if noun != "*" && !nouns().contains(&noun) {
            return Err("unknown noun");
        }
        if verb != "*" && Verb::ALL.iter().all(|known| known.name() != verb) {
            return Err("unknown verb");
        }
        Ok(())
    }

    /// What texts are permissions, for messages. Those of other systems are in the reference.
    pub fn forms() -> String {
        let nouns = nouns();
        format!("noun:verb with a noun of *, {} and a verb of *, read, write, delete", nouns.join(", "))
    }

    /// Whether this text, with its `*`, includes it.
    pub fn is_granted_by(self, text: &str) -> bool {
        let Some((noun, verb)) = text.split_once(':') else { return false };
        (noun == "*" || noun == self.noun) && (verb == "*" || verb == self.verb.name())
    }
}

/// Nouns that are not those of kinds, with what their permissions are for.
pub const OTHER_NOUNS: &[(&str, &str)] = &[
    ("audit", "`read`: the record of what happened; `write`: its retention and the erasure of persons"),
    ("session", "`read`: who is logged in; `delete`: end sessions and tokens of others"),
    ("approval", "`read`: requests for approval; `write`: approve and reject them"),
    ("realm", "`read`: export users, roles and clients with their sealed secrets; `write`: import them"),
    ("secret", "`write`: change the keys that secrets are sealed with, and export secrets sealed"),
];

/// Every noun, in order.
pub fn nouns() -> Vec<&'static str> {
    let mut nouns: Vec<&str> =
        resource::all().map(|kind| kind.noun).chain(OTHER_NOUNS.iter().map(|(noun, _)| *noun)).collect();
    nouns.sort_unstable();
    nouns.dedup();
    nouns
}

/// Whether a list of permissions includes this one, which may have a `*` itself.
pub fn covers(held: &[String], wanted: &str) -> bool {
    held.iter().any(|held| is_wider(held, wanted))
}

fn is_wider(held: &str, wanted: &str) -> bool {
    match (held.split_once(':'), wanted.split_once(':')) {
        (Some((held_noun, held_verb)), Some((noun, verb))) => {
            (held_noun == "*" || held_noun == noun) && (held_verb == "*" || held_verb == verb)
        }
        _ => false,
    }
}

/// What two patterns have in common; `None` for nothing.
pub fn common(one: &str, other: &str) -> Option<String> {
    let ((one_noun, one_verb), (noun, verb)) = (one.split_once(':')?, other.split_once(':')?);
    let both = |one: &str, other: &str| match (one, other) {
        ("*", other) => Some(other.to_owned()),
        (one, "*") => Some(one.to_owned()),
        (one, other) => (one == other).then(|| one.to_owned()),
    };
    Some(format!("{}:{}", both(one_noun, noun)?, both(one_verb, verb)?))
}

/// What two lists of patterns have in common.
pub fn intersection(one: &[String], other: &[String]) -> Vec<String> {
    let mut found: Vec<String> =
        one.iter().flat_map(|one| other.iter().filter_map(move |other| common(one, other))).collect();
    found.sort_unstable();
    found.dedup();
    let all = found.clone();
    // What another one includes says nothing of its own.
    found.retain(|text| !all.iter().any(|wider| wider != text && is_wider(wider, text)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn an_intersection_is_no_wider_than_either() {
        for (one, other, expected) in [
            (&["*:*"][..], &["api:read", "plan:*"][..], &["api:read", "plan:*"][..]),
            (&["*:read"], &["api:*"], &["api:read"]),
            (&["api:write"], &["api:read", "plan:*"], &[]),
            (&["api:*", "*:read"], &["*:read", "api:write"], &["*:read", "api:write"]),
            (&[], &["*:*"], &[]),
        ] {
            assert_eq!(intersection(&list(one), &list(other)), list(expected), "{one:?} {other:?}");
            assert_eq!(intersection(&list(other), &list(one)), list(expected), "{other:?} {one:?}");
        }
    }
}
