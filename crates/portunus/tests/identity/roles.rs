//! Roles: the names that other gateways have for them, and who may hand them out.

use portunus_testkit::client::Api;
use serde_json::{Value, json};

use crate::portunus;

/// A service account of `platform` with a role by this name, as a caller.
#[track_caller]
fn with_role(admin: &Api, base: &str, name: &str, role: &str) -> (Value, Api) {
    let account = json!({"name": name, "roles": [role]});
    let made = admin.post("/v1/tenants/platform/service-accounts", &account).expect(201).json;
    let secret = made["client_secret"].as_str().expect("a secret").to_owned();
    (made, Api::service_account(base, name, &secret))
}

#[test]
fn r11_roles_and_permissions_of_other_gateways_stand_for_built_in_ones() {
    let process = portunus().start();
    let admin = process.api();
    let base = process.api_url("");
    let (made, chief) = with_role(&admin, &base, "chief", "cpi-admin");
    let role = admin.get("/v1/tenants/platform/roles/platform-admin").expect(200).json;
    assert_eq!(made["roles"], json!([role["id"]]));
    chief.post("/v1/tenants", &json!({"name": "acme"})).is(201);
    let (_, deployer) = with_role(&admin, &base, "shipper", "deployer");
    deployer.post("/v1/tenants/acme/apis", &json!({"name": "x", "base_path": "/x"})).is(422);
    deployer.post("/v1/tenants", &json!({"name": "other"})).problem(403, "forbidden");

    // A role of that very name wins over the table.
    admin.post("/v1/tenants/platform/roles", &json!({"name": "devops", "permissions": ["plan:read"]})).is(201);
    let (_, devops) = with_role(&admin, &base, "devops-1", "devops");
    devops.get("/v1/tenants/acme/plans").is(200);
    devops.get("/v1/tenants/acme/apis").problem(403, "forbidden");

    let role = json!({"name": "doorman", "permissions": ["manage_routings", "view_logs", "plan:read"]});
    let role = admin.post("/v1/tenants/platform/roles", &role).expect(201).json;
    assert_eq!(role["permissions"], json!(["upstream:*", "audit:read", "plan:read"]));
    let wrong = json!({"name": "wrong", "permissions": ["manage_everything"]});
    admin.post("/v1/tenants/platform/roles", &wrong).problem(422, "invalid");
    let nobody = json!({"name": "nobody", "roles": ["no-such-role"]});
    let refused = admin.post("/v1/tenants/platform/service-accounts", &nobody).problem(422, "invalid");
    assert_eq!(refused.fault_paths(), ["/roles/0"]);
}
