use std::collections::BTreeSet;

use portunus_gateway::kind::KindInfo;

use super::*;
use crate::access::Permission;
use crate::api::routes;
use crate::api::routes::{Needs, Route};

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("there are paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, of)| (format!("{method} {path}"), of))
        })
        .collect()
}

/// Calls `see` with every object in a document.
fn walk(value: &Value, see: &mut dyn FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            see(fields);
            fields.values().for_each(|value| walk(value, see));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    walk(&document, &mut |fields| {
        if let Some(place) = fields.get("$ref").and_then(Value::as_str) {
            assert!(
                document.pointer(place.strip_prefix('#').expect("a reference within the document")).is_some(),
                "{place}"
            );
        }
    });
}

#[test]
fn every_component_is_used_or_is_a_policys_configuration() {
    let document = document();
    let mut used = BTreeSet::new();
    walk(&document, &mut |fields| used.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned)));
    for section in ["schemas", "responses", "parameters", "headers"] {
        for name in document["components"][section].as_object().unwrap().keys() {
            let is_config = name.starts_with("PolicyConfig_");
            assert!(
                is_config || used.contains(&format!("#/components/{section}/{name}")),
                "{section}/{name} is not used"
            );
        }
    }
}

#[test]
fn every_operation_is_complete() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (place, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
        let is_public = operation["security"] == json!([]);
        assert_eq!(is_public, operation["x-permission"].is_null(), "{place}");
        assert!(is_public || operation["responses"]["403"].is_object(), "{place}");
        let tag = &operation["tags"][0];
        assert!(document["tags"].as_array().unwrap().iter().any(|known| known["name"] == *tag), "{place}: {tag}");
        let path = place.split_once(' ').unwrap().1;
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(str::to_owned);
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
            let place = parameter["$ref"].as_str().map(|place| &place[1..]);
            place.map_or(parameter, |place| document.pointer(place).unwrap())
        });
        let declared: BTreeSet<String> = parameters
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(named.collect::<BTreeSet<_>>(), declared, "{place}");
    }
}

/// The places of a route in the document: a generic one has many.
fn places(route: &Route) -> Vec<(String, Option<&'static KindInfo>)> {
    // What else `{action}` can be is a matter of the kind.
    let path = route.path.replace("{action}", "rollback");
    if !path.contains("{plural}") {
        return vec![(path, None)];
    }
    let kinds = resource::all().filter(|kind| kind.plural != "tenants");
    kinds.map(|kind| (path.replace("{plural}", kind.plural), Some(kind))).collect()
}

#[test]
fn every_route_is_described_with_what_it_needs() {
    let document = document();
    for route in routes().into_parts().1 {
        for (path, kind) in places(&route) {
            let method = route.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][&path][&method];
            assert!(operation.is_object(), "{method} {path} is not described");
            let needs = match (route.needs, kind) {
                (Needs::Nothing(_), _) => Value::Null,
                (Needs::Account(_), _) => json!("account"),
                (Needs::Permission(permission), _) => json!(permission.to_string()),
                (Needs::Manifests(verb), _) => json!(format!("{{kind}}:{}", verb.name())),
                (Needs::Kind(verb), kind) => {
                    json!(Permission::new(kind.expect("a generic route has kinds").noun, verb).to_string())
                }
            };
            assert_eq!(operation["x-permission"], needs, "{method} {path}");
        }
    }
}

#[test]
fn hidden_fields_and_secrets_do_not_appear_where_they_should_not() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let text = document.to_string();
    for kind in resource::all() {
        for hidden in kind.hidden {
            assert!(!text.contains(&format!("\"{hidden}\"")), "{hidden}");
        }
        if let Some(secret) = example::secret(kind.kind) {
            assert!(schemas[format!("{}Spec", kind.kind)]["properties"][secret].is_null());
            assert!(schemas[format!("{}Created", kind.kind)]["allOf"][1]["properties"][secret].is_object());
        }
    }
    assert_eq!(schemas["UserInput"]["properties"]["password"]["writeOnly"], true);
}

#[test]
fn schemas_say_what_is_sent_and_what_is_answered() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["ApiInput"]["required"], json!(["name", "base_path"]));
    assert_eq!(schemas["SubscriptionInput"]["required"], json!(["consumer_id", "api_id"]));
    assert_eq!(schemas["ApiSpec"]["properties"]["upstream_id"]["format"], "uuid");
    let required = schemas["ApiSpec"]["required"].as_array().unwrap();
    assert!(required.contains(&json!("version")) && !required.contains(&json!("hosts")), "{required:?}");
    assert!(schemas["ApiPatch"]["required"].is_null());
    assert_eq!(schemas["PolicyPatch"]["properties"]["config"]["type"], json!(["object", "null"]));
    assert_eq!(schemas["ApiUpstream"]["properties"]["targets"]["minItems"], 1);
    assert!(schemas["PolicyConfig_rate_limit"]["properties"]["burst"].is_object());
}

#[test]
fn the_document_is_always_the_same() {
    assert_eq!(document().to_string(), document().to_string());
}
