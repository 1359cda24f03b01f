//! Any file of manifests: reading and checking it never panics, and what was read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_control::manifest::check;
use portunus_control::manifest::document::{self, Document};
use portunus_control::yaml;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let (manifests, faults) = document::read(text, "x.yaml");
    for fault in &faults {
        assert!(fault.starts_with("x.yaml") && !fault.contains('\n'), "not one sentence about the file: {fault:?}");
    }
    let values: Vec<Value> = manifests.iter().map(Document::value).collect();
    for problem in check(&values) {
        let sentence = document::sentence(&manifests, &problem);
        assert!(sentence.starts_with("x.yaml line "), "a fault without its place: {sentence:?}");
    }
    if !values.is_empty() {
        let written = yaml::print(&values);
        let (again, faults) = document::read(&written, "x.yaml");
        assert!(faults.is_empty(), "written and not readable: {faults:?}\n{written}");
        let again: Vec<Value> = again.iter().map(Document::value).collect();
        assert_eq!(again, values, "written and read as something else:\n{written}");
    }
});
