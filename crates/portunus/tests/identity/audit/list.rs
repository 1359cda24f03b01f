//! Reading the record: by API, by runbook, by command line.

use portunus_testkit::command::Run;
use portunus_testkit::{Api, Call};
use serde_json::{Value, json};

use crate::portunus;

fn texts(answer: &Value, field: &str) -> Vec<String> {
    let logs = answer["logs"].as_array().expect("a list of logs");
    logs.iter().map(|log| log[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn s11_the_log_reads_as_the_runbook_says() {
    let process = portunus().start();
    let admin = process.api();
    for n in 0..60 {
        admin.post("/v1/tenants/default/consumers", &json!({"name": format!("c{n}")})).is(201);
    }
    let script = r#"curl -s -H "Authorization: Bearer $TOKEN" "$API/v1/audit/$TENANT_ID?limit=50" | jq '.logs[] | {action, resource, user, created_at}'"#;
    let tenant = admin.get("/v1/tenants/default").expect(200).json["id"].clone();
    let run = Run::new("bash").args(["-euo", "pipefail", "-c", script]).env("API", process.api_url(""));
    let output = run.env("TOKEN", admin.token()).env("TENANT_ID", tenant.as_str().expect("an id")).output().expect(0);
    let logs: Vec<Value> =
        serde_json::Deserializer::from_str(&output.stdout).into_iter().collect::<Result<_, _>>().expect("JSON");
    assert_eq!(logs.len(), 50);
    for (n, log) in logs.iter().enumerate() {
        assert_eq!(log["action"], "consumer.created", "{log}");
        assert_eq!(log["resource"], json!(format!("Consumer c{}", 59 - n)), "the newest first");
        assert_eq!(log["user"], "control-plane-api");
        assert!(log["created_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{log}");
    }
    let page = admin.get("/v1/audit/default?limit=2").expect(200).json;
    assert_eq!(page["logs"], page["items"]);
    assert!(page["total"].as_u64() >= Some(60) && page["total_events"] == page["total"], "{page}");
    let next = page["next_cursor"].as_str().expect("a cursor");
    let second = admin.get(&format!("/v1/audit/default?limit=2&cursor={next}")).expect(200).json;
    assert_eq!(texts(&second, "resource"), ["Consumer c57", "Consumer c56"]);
    assert_eq!(
        texts(&admin.get("/v1/audit/default?limit=2&page=2").expect(200).json, "resource"),
        ["Consumer c57", "Consumer c56"]
    );
}

#[test]
fn r03_the_log_is_filtered() {
    let process = portunus().start();
    let admin = process.api();
    let other = admin.account("default", "second", &["consumer:*"]);
    other.post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    other.patch("/v1/tenants/default/consumers/acme", &json!({"status": "suspended"})).is(200);
    other.get("/v1/tenants/default/apis").is(403);
    let found = |query: &str| admin.get(&format!("/v1/audit/default?{query}")).expect(200).json;
    assert_eq!(texts(&found("user=second&status=success"), "action"), ["consumer.updated", "consumer.created"]);
    assert_eq!(texts(&found("action=consumer.created"), "user"), ["second"]);
    assert_eq!(texts(&found("event_type=consumer.created&hours=1"), "user"), ["second"]);
    assert_eq!(texts(&found("action=consumer.*"), "action"), ["consumer.updated", "consumer.created"]);
    assert_eq!(texts(&found("resource=acme"), "action"), ["consumer.updated", "consumer.created"]);
    assert_eq!(texts(&found("resource=Consumer%20acme"), "action").len(), 2);
    assert_eq!(texts(&found("resource=Consumer"), "action").len(), 2);
    assert_eq!(texts(&found("status=denied"), "action"), ["call.denied"]);
    assert!(texts(&found("since=1h"), "action").len() >= 4);
    assert_eq!(found("until=1h")["total"], 0);
    assert_eq!(found("since=2100-01-01")["total"], 0);
    for wrong in ["limit=0", "limit=1001", "status=maybe", "since=soon", "hours=x", "usr=second", "cursor=x"] {
        let refusal = admin.get(&format!("/v1/audit/default?{wrong}")).expect(400).json;
        assert!(refusal["detail"].as_str().is_some_and(|text| text.contains('`')), "{wrong}: {refusal}");
    }
}

#[test]
fn r03_the_command_shows_a_table_or_json() {
    let process = portunus().start();
    let admin = process.api();
    for n in 0..3 {
        admin.post("/v1/tenants/default/consumers", &json!({"name": format!("c{n}")})).is(201);
    }
    for command in [&["admin", "audit", "list"][..], &["audit", "list"]] {
        let with = |more: &[&str]| process.cli(&[command, more].concat()).output().expect(0);
        let table = with(&["--limit", "50"]).stdout;
        let mut lines = table.lines();
        assert!(lines.next().is_some_and(|line| line.contains("USER") && line.contains("ACTION")), "{table}");
        assert!(lines.next().is_some_and(|line| line.contains("consumer.created") && line.contains("c2")), "{table}");
        let listed = with(&["--limit", "2", "-o", "json"]).json();
        assert_eq!(texts(&listed, "resource"), ["Consumer c2", "Consumer c1"]);
        let filters =
            ["--user", "control-plane-api", "--action", "consumer.*", "--resource", "c1", "--status", "success"];
        let listed = with(&[&filters[..], &["--since", "1h", "-t", "default", "-o", "json"]].concat()).json();
        assert_eq!(texts(&listed, "resource"), ["Consumer c1"]);
        assert!(with(&["--limit", "1", "-o", "yaml"]).stdout.contains("action: consumer.created"));
        assert_eq!(with(&["--until", "1h"]).stdout.trim(), "nothing found");
    }
}

#[test]
fn r08_the_record_can_be_written_to_a_file() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants/default/consumers", &json!({"name": "acme, \"inc\""})).is(201);
    process.cli(&["audit", "export", "-f", "audit.jsonl"]).output().expect(0);
    let text = std::fs::read_to_string(process.home().path().join("audit.jsonl")).expect("the file is written");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(row["sequence"], json!(n + 1));
        assert!(row["hash"].as_str().map(str::len) == Some(64) && row["seal"].is_string(), "{row}");
    }
    // Anybody can check the hashes.
    let script = r#"
import hashlib, json, sys
previous = "0" * 64
for line in sys.stdin:
    row = json.loads(line)
    fields = [row[name] for name in ("sequence at tenant_id actor_kind actor actor_id via client request_id action kind "
        "resource_id resource_name outcome reason count details store_revision previous_hash").split()]
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    assert row["previous_hash"] == previous and hashlib.sha256(text.encode()).hexdigest() == row["hash"], row
    previous = row["hash"]
"#;
    Run::new("python3").args(["-c", script]).input(text).output().expect(0);
    let csv = process
        .cli(&["admin", "audit", "export", "--format", "csv", "--action", "consumer.created"])
        .output()
        .expect(0);
    let script = "import csv, sys; rows = list(csv.DictReader(sys.stdin)); assert len(rows) == 1, rows; \
                  assert rows[0]['resource'] == 'Consumer acme, \"inc\"' and len(rows[0]['seal']) > 64, rows";
    Run::new("python3").args(["-c", script]).input(csv.stdout).output().expect(0);
}

#[test]
fn r08_each_tenant_reads_its_own_record() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "globex"})).is(201);
    let insider = admin.account("globex", "insider", &["*:*"]);
    insider.post("/v1/tenants/globex/consumers", &json!({"name": "theirs"})).is(201);
    admin.post("/v1/tenants/default/consumers", &json!({"name": "ours"})).is(201);
    let theirs = insider.get("/v1/audit/globex").expect(200).json;
    let resources = texts(&theirs, "resource");
    assert!(resources.contains(&"Consumer theirs".to_owned()) && !resources.contains(&"Consumer ours".to_owned()));
    for path in ["/v1/audit/default", "/v1/audit/platform", "/v1/audit/nowhere", "/v1/audit", "/v1/audit/verify"] {
        insider.get(path).is(403);
    }
    insider.get("/v1/audit/export").is(403);
    let exported = insider.get("/v1/audit/export?tenant=globex").expect(200).text();
    assert!(exported.contains("theirs") && !exported.contains("ours\""), "{exported}");
    insider.get("/v1/audit/export?tenant=default").is(403);
    insider.post("/v1/audit/erase", &json!({"person": "ours"})).is(403);
    insider.post("/v1/audit/seal", &json!({"before": "1d"})).is(403);
    Api::nobody(&process.api_url("")).get("/v1/audit/default").is(401);
    let reader = admin.account("default", "reader", &["consumer:read"]);
    reader.get("/v1/audit/default").is(403);
    Call::get(&process.api_url("/v1/audit")).send().is(401);
}
