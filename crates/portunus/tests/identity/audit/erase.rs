//! A person is erased, and the record still verifies.

use serde_json::json;

use super::{data_of, sqlite, verify};
use crate::portunus;

#[test]
fn r08_a_person_is_erased_and_the_chain_holds() {
    let process = portunus().start();
    let admin = process.api();
    let consumer = json!({"name": "jane", "email": "jane@example.com", "display_name": "Jane Roe"});
    admin.post("/v1/tenants/default/consumers", &consumer).is(201);
    let user = json!({"name": "jane-roe", "email": "jane@example.com", "password": "correct horse battery staple 8"});
    admin.post("/v1/tenants/default/users", &user).is(201);
    let refusal = admin.post("/v1/audit/erase", &json!({"person": "jane"})).expect(409).json;
    assert!(refusal["detail"].as_str().is_some_and(|text| text.contains("delete it first")), "{refusal}");
    admin.delete("/v1/tenants/default/users/jane-roe").is(200);
    admin.delete("/v1/tenants/default/consumers/jane").is(200);
    assert_eq!(admin.get("/v1/audit/default?resource=jane").expect(200).json["total"], 2);
    let erased = admin.post("/v1/audit/erase", &json!({"person": "jane"})).expect(200).json;
    assert!(erased["pseudonym"].as_str().is_some_and(|text| text.starts_with("p-")), "{erased}");
    process.cli(&["audit", "erase", "jane-roe"]).output().expect(0);
    admin.post("/v1/audit/erase", &json!({"person": "jane"})).is(404);
    admin.post("/v1/audit/erase", &json!({"persn": "jane"})).is(422);

    let log = admin.get("/v1/audit/default?action=consumer.deleted").expect(200).json;
    assert_eq!(log["logs"][0]["resource"], "Consumer erased person");
    let told = admin.get("/v1/audit?action=person.erased").expect(200).json;
    assert_eq!(
        told["logs"][1]["resource"],
        json!(format!("Person {}", erased["pseudonym"].as_str().unwrap_or_default()))
    );
    assert_eq!(admin.get("/v1/audit/verify").expect(200).json["intact"], true);
    // A new consumer of the same name is somebody else.
    admin.post("/v1/tenants/default/consumers", &json!({"name": "jane"})).is(201);
    assert_eq!(admin.get("/v1/audit/default?resource=jane").expect(200).json["total"], 1);
    admin.delete("/v1/tenants/default/consumers/jane").is(200);
    admin.post("/v1/audit/erase", &json!({"person": "jane"})).is(200);

    let (data, _home) = (data_of(&process), process.home().clone());
    assert_eq!(process.stop(), Some(0));
    assert_eq!(verify(&data)["intact"], true);
    let dump = sqlite(&data, ".dump").expect("the database can be dumped");
    let left: Vec<&str> = dump.lines().filter(|line| line.to_lowercase().contains("jane")).collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn r08_an_address_can_be_erased() {
    let process = portunus().start();
    let admin = process.api();
    admin.create_consumer("acme");
    assert_eq!(admin.get("/v1/audit/default?limit=1").expect(200).json["logs"][0]["client_address"], "127.0.0.1");
    admin.post("/v1/audit/erase", &json!({"person": "127.0.0.1"})).is(200);
    assert_eq!(admin.get("/v1/audit/default?limit=1").expect(200).json["logs"][0]["client_address"], "erased person");
    admin.create_consumer("globex");
    assert_eq!(admin.get("/v1/audit/default?limit=1").expect(200).json["logs"][0]["client_address"], "127.0.0.1");
    assert_eq!(admin.get("/v1/audit/verify").expect(200).json["intact"], true);
}
