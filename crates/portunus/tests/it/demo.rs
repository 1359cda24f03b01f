//! What a newcomer sees first.

use portunus_testkit::command::Run;
use portunus_testkit::poll::SOON;
use portunus_testkit::{Output, Portunus};

use crate::portunus;

/// The line with a curl that the first start prints.
fn curl_line(process: &Portunus) -> String {
    let line = process.stderr().wait(SOON, |line| line.starts_with("  curl ").then(|| line.trim().to_owned()));
    line.unwrap_or_else(|| panic!("no curl line: {}", process.stderr().text()))
}

/// Pastes a line into a shell, with the status code after the answer.
fn paste(line: &str) -> Output {
    let line = format!("{line} -s -o /dev/null -D - -w '%{{http_code}}'");
    Run::new("/bin/sh").args(["-c", &line]).output().expect(0)
}

fn status(output: &Output) -> &str {
    output.stdout.lines().last().unwrap_or_default()
}

#[test]
fn the_demo_prints_a_curl_line_that_works() {
    let process = portunus().arg("--demo").start();
    let line = curl_line(&process);
    assert!(line.contains(process.gw_address()), "{line}");
    assert_eq!(status(&paste(&line)), "200", "{line}");
}

/// The line without its header arguments.
fn without_key(line: &str) -> String {
    let start = line.find(" -H ").unwrap_or_else(|| panic!("the key is in a header: {line}"));
    let rest = &line[start + " -H ".len()..];
    let quote = rest.chars().next().expect("a header follows");
    let end = rest[1..].find(quote).expect("the quote ends") + 2;
    format!("{}{}", &line[..start], &rest[end..])
}

#[test]
fn without_the_key_the_demo_answers_401_and_past_the_limit_429() {
    let process = portunus().arg("--demo").start();
    let line = curl_line(&process);
    assert_eq!(status(&paste(&without_key(&line))), "401");
    let limited = (0..2000).map(|_| paste(&line)).find(|output| status(output) != "200").expect("the limit bites");
    assert_eq!(status(&limited), "429", "{}", limited.stdout);
    let wait = limited.stdout.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("retry-after").then(|| value.trim().parse::<u64>().ok())?
    });
    assert!(wait.is_some_and(|seconds| seconds >= 1), "{}", limited.stdout);
}

#[test]
fn a_second_start_of_the_demo_works_as_well_and_keeps_what_was_made() {
    let process = portunus().arg("--demo").start();
    process.api().create_consumer("mine");
    let data = std::sync::Arc::clone(process.home());
    assert_eq!(process.stop(), Some(0));
    let process = portunus().data(&data).arg("--demo").start();
    let line = curl_line(&process);
    assert_eq!(status(&paste(&line)), "200", "{line}");
    process.api().get("/v1/tenants/default/consumers/mine").is(200);
}
