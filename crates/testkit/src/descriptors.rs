//! How many files and sockets a process may have open.

use std::fs;
use std::process::Command;

/// Lets this process, and those that it starts from now on, open as many files as the machine allows it; gives how many
/// that are.
///
/// # Panics
/// When the kernel does not tell the limit or `prlimit` fails.
pub fn raise() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("the kernel tells a process its limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most = line.and_then(|line| line.split_whitespace().nth(1)).expect("one of the limits is that of open files");
    // Without `unsafe` a process can only ask another one to change its limits.
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", std::process::id()))
        .arg(format!("--nofile={most}:{most}"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "prlimit cannot raise the limit to {most}");
    most.parse().unwrap_or(usize::MAX)
}
