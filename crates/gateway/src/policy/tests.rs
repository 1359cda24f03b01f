//! What every policy must do, asked of all of them.

use serde_json::{Value, json};

use super::*;

fn env() -> CompileEnv<'static> {
    CompileEnv { uid: 1, name: "under-test", before: None }
}

fn example(known: &PolicyType) -> Value {
    serde_saphyr::from_str(known.example)
        .unwrap_or_else(|error| panic!("the example of {} is not YAML: {error}", known.name))
}

#[test]
fn every_example_compiles() {
    for known in TYPES {
        if let Err(problems) = AnyPolicy::compile(known.name, &example(known), &env()) {
            panic!("the example of {}: {problems:?}", known.name);
        }
    }
}

#[test]
fn every_policy_is_documented() {
    for known in TYPES {
        let schema = &(known.schema)().schema;
        assert!(
            schema["description"].as_str().is_some_and(|text| text.len() > 20),
            "{} has no description",
            known.name
        );
        for (field, of) in schema["properties"].as_object().expect("a config has fields") {
            let documented = of.get("description").or_else(|| of.get("$ref")).or_else(|| of.get("allOf")).is_some();
            assert!(documented, "{}.{field} has no description", known.name);
        }
    }
}

#[test]
fn every_policy_refuses_unknown_fields() {
    for known in TYPES {
        let mut config = example(known);
        config["surprise"] = json!(1);
        let problems = AnyPolicy::compile(known.name, &config, &env()).err().expect("an unknown field is refused");
        assert!(problems.iter().any(|problem| problem.path == "/config/surprise"), "{}: {problems:?}", known.name);
    }
}

#[test]
fn every_policy_refuses_what_is_not_an_object() {
    for known in TYPES {
        for config in [json!(null), json!(1), json!("text"), json!([])] {
            assert!(AnyPolicy::compile(known.name, &config, &env()).is_err(), "{} takes {config}", known.name);
        }
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let config = json!({"origins": ["ftp//x", 7], "max_age": -1, "credentials": "yes", "other": true});
    let problems = check("cors", &config);
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    for path in ["/config/origins/1", "/config/max_age", "/config/credentials", "/config/other"] {
        assert!(paths.contains(&path), "{path} is missing in {paths:?}");
    }
}

#[test]
fn an_unknown_type_names_the_known_ones() {
    let problems = check("rate_limits", &json!({}));
    assert_eq!(problems[0].path, "/policy_type");
    assert!(problems[0].expected.contains("rate_limit"));
}
