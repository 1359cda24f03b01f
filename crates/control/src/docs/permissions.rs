//! The page of permissions: nouns, verbs, built-in roles, names of other gateways.

use super::cell;
use crate::access::{BUILT_IN_ROLES, OTHER_NOUNS, Permission, Verb, names, nouns};
use crate::api;
use crate::api::routes::Needs;
use crate::resource;

/// The page.
pub fn page() -> String {
    let mut nouns: Vec<&str> = Vec::new();
    for kind in resource::all().filter(|kind| !kind.noun.is_empty()) {
        if !nouns.contains(&kind.noun) {
            nouns.push(kind.noun);
        }
    }
    let nouns: String = nouns
        .iter()
        .map(|noun| {
            let kinds: Vec<&str> = resource::all().filter(|kind| kind.noun == *noun).map(|kind| kind.kind).collect();
            format!("| `{noun}` | {} |\n", kinds.join(", "))
        })
        .chain(OTHER_NOUNS.iter().map(|(noun, what)| format!("| `{noun}` | {} |\n", cell(what))))
        .collect();
    let verbs: String = [
        (Verb::Read, "list, read, history, export"),
        (Verb::Write, "create, replace, change, roll back, apply, and steps such as approve, rotate, revoke"),
        (Verb::Delete, "delete, and apply with `prune`"),
    ]
    .iter()
    .map(|(verb, calls)| format!("| `{}` | {calls} |\n", verb.name()))
    .collect();
    let roles: String = BUILT_IN_ROLES
        .iter()
        .map(|(name, description, permissions)| {
            let permissions: Vec<String> = permissions.iter().map(|permission| format!("`{permission}`")).collect();
            format!("| `{name}` | {} | {} |\n", cell(description), permissions.join(" "))
        })
        .collect();
    let (matrix, routes) = (matrix(), table_of_routes());
    let foreign_roles: String = names::ROLES
        .iter()
        .map(|known| format!("| {} | `{}` | `{}` |\n", known.system, known.name, known.role))
        .collect();
    let foreign_permissions: String = names::PERMISSIONS
        .iter()
        .map(|known| {
            let permissions: Vec<String> = known.permissions.iter().map(|text| format!("`{text}`")).collect();
            format!("| {} | `{}` | {} |\n", known.system, known.name, permissions.join(" "))
        })
        .collect();
    format!(
        "# Permissions\n\n\
         A permission is `noun:verb`, such as `api:write`; `*` stands for every noun or verb. A role is a list of permissions;\n\
         users and service accounts have roles. What no role permits is refused with 403. An account of the tenant `platform`\n\
         acts in every tenant, any other in its own. Nobody can hand out more than they have.\n\n\
         ## Nouns\n\n| noun | of |\n|---|---|\n{nouns}\n\
         ## Verbs\n\n| verb | calls |\n|---|---|\n{verbs}\n\
         ## Built-in roles\n\n\
         These exist from the first start, in the tenant `platform`.\n\n\
         | role | what for | permissions |\n|---|---|---|\n{roles}\n\
         What each may do: `r` read, `w` write, `d` delete.\n\n{matrix}\n\
         ## Every call\n\n\
         `{{plural}}` is the plural of any kind, and the noun is that kind's. A call that needs an account acts on nothing but the\n\
         caller's own things.\n\n\
         | method | path | needs |\n|---|---|---|\n{routes}\n\
         ## Names of other gateways\n\n\
         A role may be named as the gateway names it that you come from, wherever a role is named, and so may a permission, in\n\
         roles and in scopes of tokens. A role of your own by such a name wins.\n\n\
         | gateway | role | is here |\n|---|---|---|\n{foreign_roles}\n\
         | gateway | permission | is here |\n|---|---|---|\n{foreign_permissions}"
    )
}

/// A row for each noun, a column for each built-in role.
fn matrix() -> String {
    let head: String = BUILT_IN_ROLES.iter().map(|(name, ..)| format!(" {name} |")).collect();
    let line = "---|".repeat(BUILT_IN_ROLES.len());
    let rows: String = nouns()
        .iter()
        .map(|noun| {
            let cells: String =
                BUILT_IN_ROLES.iter().map(|(_, _, permissions)| format!(" {} |", letters(noun, permissions))).collect();
            format!("| `{noun}` |{cells}\n")
        })
        .collect();
    format!("| noun |{head}\n|---|{line}\n{rows}")
}

fn letters(noun: &'static str, permissions: &[&str]) -> String {
    [(Verb::Read, 'r'), (Verb::Write, 'w'), (Verb::Delete, 'd')]
        .iter()
        .filter(|(verb, _)| permissions.iter().any(|text| Permission::new(noun, *verb).is_granted_by(text)))
        .map(|(_, letter)| letter)
        .collect()
}

/// A row for each route, in the order of their paths.
fn table_of_routes() -> String {
    let (_, mut routes) = api::routes().into_parts();
    routes.sort_by(|one, other| (one.path, one.method.as_str()).cmp(&(other.path, other.method.as_str())));
    let row = |route: &api::routes::Route| {
        let needs = match route.needs {
            Needs::Nothing(why) => format!("nothing: {why}"),
            Needs::Account(what) => format!("an account: {what}"),
            Needs::Permission(permission) => format!("`{permission}`"),
            Needs::Kind(verb) => format!("`{{noun}}:{}`", verb.name()),
            Needs::Manifests(verb) => format!("`{{noun}}:{}` of every manifest's kind", verb.name()),
        };
        format!("| {} | `{}` | {} |\n", route.method, route.path, cell(&needs))
    };
    routes.iter().map(row).collect()
}
