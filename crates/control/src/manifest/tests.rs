use super::*;

fn paths(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.path.as_str()).collect()
}

fn manifest(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[test]
fn what_is_left_out_has_a_default() {
    let short = parse(&json!({"apiVersion": API_VERSION, "kind": "Consumer", "metadata": {"name": "acme"}})).unwrap();
    assert_eq!((short.tenant.as_str(), short.name.as_str(), short.spec), ("default", "acme", json!({})));
    assert_eq!(parse(&manifest("Tenant", "acme", &json!({}))).unwrap().tenant, "platform");
}

#[test]
fn every_fault_of_the_frame_is_found_at_once() {
    let wrong = json!({
        "apiVersion": "v9", "kind": "Gizmo", "metadata": {"tenant": "a/b", "name": " x", "labels": {}}, "spec": [], "extra": 1,
    });
    let problems = parse(&wrong).unwrap_err();
    let expected =
        ["/extra", "/apiVersion", "/kind", "/metadata/labels", "/metadata/name", "/metadata/tenant", "/spec"];
    assert_eq!(paths(&problems), expected);
    assert!(problems[2].expected.contains("Api, Upstream"), "{}", problems[2]);
    assert_eq!(paths(&parse(&json!({})).unwrap_err()), ["/apiVersion", "/kind", "/metadata/name"]);
    assert_eq!(paths(&parse(&json!("text")).unwrap_err()), [""]);
    let wrong = json!({"apiVersion": 1, "kind": null, "metadata": 3});
    assert_eq!(paths(&parse(&wrong).unwrap_err()), ["/apiVersion", "/kind", "/metadata"]);
    let tenant = json!({"apiVersion": API_VERSION, "kind": "Tenant", "metadata": {"tenant": "default", "name": "x"}});
    assert_eq!(paths(&parse(&tenant).unwrap_err()), ["/metadata/tenant"]);
}

#[test]
fn the_offline_check_takes_references_by_name() {
    let roles = json!({"email": "ada@example.com", "roles": ["reader", "writer"]});
    let good = [
        manifest("Subscription", "a", &json!({"consumer_id": "acme", "api_id": "orders"})),
        manifest("User", "ada", &roles),
    ];
    assert_eq!(check(&good), []);
    let bad = [
        manifest("Subscription", "a", &json!({"consumer_id": "a/b", "colour": "red"})),
        manifest("Policy", "p", &json!({"policy_type": "rate_limit", "config": {"burst": 0}})),
        manifest("User", "ada", &json!({"email": "ada@example.com", "roles": ["ok", "", 7]})),
    ];
    let expected = [
        "/manifests/0/spec/consumer_id",
        "/manifests/0/spec/api_id",
        "/manifests/0/spec/colour",
        "/manifests/1/spec/config/burst",
        "/manifests/2/spec/roles/1",
        "/manifests/2/spec/roles/2",
    ];
    let found = check(&bad);
    let mut found = paths(&found);
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn the_same_resource_twice_is_a_fault() {
    let twice = [
        manifest("Consumer", "acme", &json!({})),
        manifest("Plan", "acme", &json!({})),
        manifest("Consumer", "acme", &json!({"company": "Acme"})),
    ];
    assert_eq!(paths(&check(&twice)), ["/manifests/2/metadata/name"]);
}

#[test]
fn a_rendered_resource_is_a_manifest_again() {
    let (role, unknown) = (Id::from_u128(1), Id::from_u128(2));
    let row = Row {
        id: Id::from_u128(3),
        kind: resource::by_kind("User").unwrap(),
        tenant_id: Id::from_u128(4),
        name: "ada".to_owned(),
        revision: 1,
        spec: json!({"email": "ada@example.com", "roles": [role, unknown], "password_hash": "$argon2id$"}),
        created_at: 0,
        updated_at: 0,
    };
    let rendered = render(&row, "default", Secrets::Marked, &|id| (id == role).then(|| "reader".to_owned()));
    let expected = format!(
        "{{\"apiVersion\":\"portunus.dev/v1\",\"kind\":\"User\",\"metadata\":{{\"tenant\":\"default\",\"name\":\"ada\"}},\
         \"spec\":{{\"email\":\"ada@example.com\",\"roles\":[\"reader\",\"{unknown}\"]}}}}"
    );
    assert_eq!(rendered.to_string(), expected);
    assert_eq!(check(&[rendered]), []);
}

#[test]
fn the_schema_knows_every_kind_and_all_its_references_lead_somewhere() {
    let schema = schema();
    for kind in resource::all() {
        assert!(schema["$defs"][kind.kind]["properties"].is_object(), "{kind:?}");
    }
    let text = schema.to_string();
    for found in text.split("\"$ref\":\"#").skip(1) {
        let pointer = found.split('"').next().unwrap();
        assert!(schema.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}
