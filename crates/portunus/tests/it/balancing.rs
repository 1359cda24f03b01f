//! Which target gets a request: the algorithms, health, ejection, limits, names.

mod algorithms;
mod ejection;
mod health;
mod limits;
mod names;
mod repeats;

use portunus_testkit::{Api, Call, Portunus, Upstream};
use serde_json::{Value, json};

/// Makes the public API `orders` over these upstreams; `fields` are further ones of its `upstream`.
fn orders(admin: &Api, upstreams: &[&Upstream], fields: &Value) -> Value {
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": over(upstreams, fields)}))
}

/// An `upstream` with one target for each of these.
fn over(upstreams: &[&Upstream], fields: &Value) -> Value {
    let mut upstream = fields.clone();
    upstream["targets"] = upstreams.iter().map(|upstream| json!({"url": upstream.url()})).collect();
    upstream
}

/// The value of a metric for one target; none when it is not exposed.
fn gauge(process: &Portunus, metric: &str, target: &Upstream) -> Option<f64> {
    let text = Call::get(&process.api_url("/metrics")).send().expect(200).text();
    let label = format!("target=\"{}\"", target.url());
    let line = text.lines().find(|line| line.starts_with(&format!("{metric}{{")) && line.contains(&label));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok())
}

/// How many log lines have this message and name this target.
fn told(process: &Portunus, message: &str, target: &Upstream) -> usize {
    let entries = process.stdout().entries();
    entries.iter().filter(|entry| entry["message"] == message && entry["target"] == target.url()).count()
}
