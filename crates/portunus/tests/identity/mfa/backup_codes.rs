//! Backup codes.

use serde_json::json;

use super::{Person, at_once, events, sql};
use crate::portunus;

#[test]
fn r13_a_backup_code_is_good_for_one_login() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    ada.log_in().post("/v1/me/mfa/backup-codes", &json!({})).refused(409);
    let (session, _) = ada.enrol();
    let codes = session.backup_codes();
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 19), "{codes:?}");
    let stored = sql(&process, "SELECT sha256 FROM backup_code");
    assert!(codes.iter().all(|code| !stored.contains(code.as_str())), "only hashes are kept");

    let asked = ada.password().problem(401, "second_factor_required");
    assert_eq!(asked.json["methods"], json!(["backup_code", "totp"]));
    ada.second_half(&ada.half_way(), &json!({"backup_code": codes[0]})).is(200);
    ada.second_half(&ada.half_way(), &json!({"backup_code": codes[0]})).problem(401, "second_factor_refused");
    // However it is typed.
    let typed = codes[1].to_uppercase().replace('-', " ");
    ada.second_half(&ada.half_way(), &json!({"backup_code": typed})).is(200);
    assert_eq!(session.get("/v1/me/mfa").expect(200).json["backup_codes_left"], 8);

    let code = &codes[2];
    let statuses = at_once(4, || session.step_up(&json!({"backup_code": code})));
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(events(&process, "mfa.backup_code_used"), 3);
}

#[test]
fn r13_new_backup_codes_end_the_old_ones() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (session, _) = ada.enrol();
    let old = session.backup_codes();
    let new = session.backup_codes();
    session.step_up(&json!({"backup_code": old[0]})).problem(401, "second_factor_refused");
    session.step_up(&json!({"backup_code": new[0]})).is(200);
    // A person's code is of no use to another.
    let eve = Person::new(&process, "eve", &["*:read"]);
    let (eves, _) = eve.enrol();
    eves.step_up(&json!({"backup_code": new[1]})).problem(401, "second_factor_refused");
}
