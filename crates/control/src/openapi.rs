//! The OpenAPI 3.1 document of the control plane's API, made from the kinds, the policy types and the refusals.
//!
//! A new kind is in it without further code. What is not CRUD has a file of its own, such as [`login`] and [`secrets`].

mod approvals;
mod audit;
mod bodies;
mod components;
mod doorman;
pub(crate) mod example;
mod federation;
mod folionaut;
mod forms;
mod login;
mod mfa;
mod operation;
mod realm;
mod resources;
pub(crate) mod schema;
mod secrets;
mod service;
mod stoa;
mod tokens;
mod transfer;

use serde_json::{Map, Value, json};

use crate::resource;
use operation::Operation;
use schema::Schemas;

/// The operations, as `(path, method, operation)`.
type Operations = Vec<(String, &'static str, Operation)>;

/// The document.
pub fn document() -> Value {
    let own = [
        bodies::schemas(),
        login::schemas(),
        mfa::schemas(),
        realm::schemas(),
        transfer::schemas(),
        secrets::schemas(),
        doorman::schemas(),
        stoa::schemas(),
        folionaut::schemas(),
    ];
    let mut schemas = Schemas::new(own.concat());
    forms::add_resource(&mut schemas);
    let mut operations = service::operations();
    operations.extend(realm::operations());
    operations.extend(transfer::operations());
    operations.extend(federation::operations());
    operations.extend(login::operations());
    operations.extend(secrets::operations());
    operations.extend(mfa::operations());
    for kind in resource::all() {
        operations.extend(resources::operations(kind));
        forms::add_kind(&mut schemas, kind);
    }
    operations.extend(doorman::operations());
    operations.extend(stoa::operations());
    operations.extend(folionaut::operations());
    operations.extend(tokens::operations());
    operations.extend(approvals::operations());
    operations.extend(audit::operations());
    audit::schemas().into_iter().for_each(|(name, schema)| schemas.add(name, schema));
    forms::add_policy_configs(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portunus",
            "summary": "The control plane's API",
            "description": "Configures an API gateway. A change takes effect on the next request through the gateway. Every \
                refusal is a problem document (RFC 9457); faults of what was sent are listed all at once.",
            "version": portunus_gateway::VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The control listener."}],
        "security": [{"bearer": []}, {"oauth2": []}, {"session": [], "csrf": []}],
        "tags": tags(),
        "paths": paths(operations),
        "components": {
            "schemas": schemas.into_map(),
            "responses": components::responses(),
            "parameters": components::parameters(),
            "headers": components::headers(),
            "securitySchemes": components::security_schemes(),
        },
    })
}

fn tags() -> Vec<Value> {
    let own = service::TAGS
        .iter()
        .chain(&login::TAGS)
        .chain(&mfa::TAGS)
        .map(|(name, description)| json!({"name": name, "description": description}));
    let kinds = resource::all().map(|kind| json!({"name": kind.plural, "description": kind.description()}));
    let last = [realm::TAG, federation::TAG, secrets::TAG, doorman::TAG, folionaut::TAG, stoa::TAG, approvals::TAG]
        .map(|(name, description)| json!({"name": name, "description": description}));
    own.chain(kinds).chain(last).chain([audit::tag()]).collect()
}

fn paths(operations: Operations) -> Map<String, Value> {
    let mut paths = Map::new();
    for (path, method, operation) in operations {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation.into_value();
    }
    paths
}

#[cfg(test)]
mod tests;
