//! Who is told of a request, and how they know that it is true.

use std::time::Duration;

use aws_lc_rs::hmac;
use portunus_testkit::poll::eventually;
use portunus_testkit::upstream::{Recorder, Script};
use serde_json::{Value, json};

use super::{approve, asked, rule};
use crate::portunus;

#[test]
fn r14_webhooks_are_signed_and_tried_again() {
    let hooks = Recorder::start();
    hooks.set(Script::answer("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"));
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*"]);
    let webhooks = json!({"webhooks": [format!("{}/hook", hooks.url()), "http://localhost:1/nobody-listens"]});
    let made = rule(&admin, "consumers", &["consumer:write"], &webhooks);
    let secret = made["webhook_secret"].as_str().expect("the secret is shown once").to_owned();
    let seen = admin.get("/v1/tenants/default/approval-rules/consumers").expect(200).json;
    assert!(
        !seen.to_string().contains(&secret)
            && seen["webhook_secret"].as_str().is_some_and(|mark| mark.starts_with("sealed:")),
        "{seen}"
    );

    let id = asked(maker.post("/v1/tenants/default/consumers", &json!({"name": "acme"})));
    let wait = |count: usize| {
        eventually(Duration::from_secs(20), "webhooks", || {
            let requests = hooks.requests();
            (requests.len() >= count && requests.iter().all(|request| request.is_complete)).then_some(requests)
        })
    };
    wait(1);
    hooks.set(Script::answer("HTTP/1.1 204 OK\r\n\r\n"));
    let requests = wait(2);
    approve(&admin, &id).is(200);
    let approved = wait(3);
    for (request, event) in
        requests.iter().map(|request| (request, "approval.requested")).chain([(&approved[2], "approval.approved")])
    {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(request.target(), "/hook");
        assert_eq!((&body["event"], &body["approval"]["id"]), (&json!(event), &json!(id)));
        let signature = request.field("x-portunus-signature").expect("a signature");
        let (time, tag) = signature.split_once(",v1=").expect("time and tag");
        let time = time.strip_prefix("t=").expect("a time");
        let signed = format!("{time}.{}", String::from_utf8_lossy(&request.body));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag: Vec<u8> =
            (0..tag.len()).step_by(2).map(|at| u8::from_str_radix(&tag[at..at + 2], 16).expect("hex")).collect();
        assert!(hmac::verify(&key, signed.as_bytes(), &tag).is_ok(), "{signature}");
    }
}
