//! Deleting what others refer to.

use serde_json::json;

use crate::Gate;

#[test]
fn what_is_referred_to_stays_and_the_refusal_lists_by_whom() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create("upstreams", &json!({"name": "pool", "targets": [{"url": upstream.url()}]}));
    for name in ["one", "two"] {
        admin.create(
            "apis",
            &json!({"name": name, "base_path": format!("/{name}"), "access": "public", "upstream_id": "pool"}),
        );
    }
    let refused = admin.delete("/v1/tenants/default/upstreams/pool").refused(409);
    for name in ["one", "two"] {
        assert!(refused.text().contains(&format!("\"{name}\"")) || refused.text().contains(name), "{}", refused.text());
    }
    process.get("/one/x").send().is(200);
    let gone = admin.delete("/v1/tenants/default/upstreams/pool?cascade=true");
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    for name in ["one", "two"] {
        admin.get(&format!("/v1/tenants/default/apis/{name}")).is(404);
        process.get(&format!("/{name}/x")).send().is(404);
    }
}

#[test]
fn a_consumer_with_subscriptions_goes_only_with_them() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    admin.delete("/v1/tenants/default/consumers/client").refused(409);
    process.get("/orders/x").key(&key).send().is(200);
    let gone = admin.delete("/v1/tenants/default/consumers/client?cascade=true");
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    process.get("/orders/x").key(&key).send().is(401);
    for plural in ["subscriptions", "credentials", "consumers"] {
        let list = admin.get(&format!("/v1/tenants/default/{plural}")).expect(200).json;
        assert_eq!(list["total"], 0, "{plural}: {list}");
    }
}

#[test]
fn a_bound_policy_stays_until_it_is_asked_to_cascade() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    let policy = admin.policy_on(&api, "ip_filter", &json!({"deny": ["127.0.0.1"]}));
    let one = format!("/v1/tenants/default/policies/{}", policy["id"].as_str().expect("an id"));
    admin.delete(&one).refused(409);
    process.get("/orders/x").send().is(403);
    let gone = admin.delete(&format!("{one}?cascade=true"));
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    process.get("/orders/x").send().is(200);
    assert_eq!(admin.get("/v1/tenants/default/bindings").expect(200).json["total"], 0);
}

#[test]
fn a_tenant_with_content_goes_only_with_its_content() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.post("/v1/tenants", &json!({"name": "acme"})).is(201);
    let api = json!({"name": "shop", "base_path": "/shop", "access": "public", "upstream": {"targets": [{"url": upstream.url()}]}});
    admin.post("/v1/tenants/acme/apis", &api).is(201);
    process.get("/shop/x").send().is(200);
    admin.delete("/v1/tenants/acme").refused(409);
    let gone = admin.delete("/v1/tenants/acme?cascade=true");
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    process.get("/shop/x").send().is(404);
    admin.get("/v1/tenants/acme/apis").is(404);
}

#[test]
fn the_tenants_that_the_product_needs_cannot_be_deleted() {
    let Gate { process, admin, .. } = Gate::start();
    let answer = admin.delete("/v1/tenants/platform?cascade=true");
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    process.api().get("/v1/tenants/platform").is(200);
}
