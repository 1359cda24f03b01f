//! What only time can show.

use std::time::{Duration, Instant};

use portunus_testkit::client::client_credentials;
use portunus_testkit::gateway::CLIENT_SECRET;
use portunus_testkit::{Call, eventually};

use crate::{figure, portunus};

#[test]
fn s29_an_expired_token_is_401() {
    let process = portunus().start();
    let answer = client_credentials(&process.api_url(""), "control-plane-api", CLIENT_SECRET).expect(200);
    let start = Instant::now();
    assert_eq!(answer.json["expires_in"], 300);
    let token = answer.json["access_token"].as_str().expect("a token").to_owned();
    let status = || Call::get(&process.api_url("/v1/tenants")).bearer(&token).send().status;
    eventually(Duration::from_secs(400), "the token's end", || match status() {
        200 => {
            process.stdout().clear();
            portunus_testkit::poll::pause(Duration::from_secs(1));
            None
        }
        other => {
            assert_eq!(other, 401);
            Some(())
        }
    });
    let lived = start.elapsed();
    figure("s29_token_lived", format!("{:.0}", lived.as_secs_f64()), "s");
    assert!(lived > Duration::from_secs(295) && lived < Duration::from_secs(370), "{lived:?}");
}
