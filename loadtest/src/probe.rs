//! What a process uses, as Linux tells it (proc(5)).

use std::time::Duration;

use anyhow::Context;

/// Clock ticks per second of `/proc/<pid>/stat`: USER_HZ, which is 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time in user and kernel mode, all threads, since the process started. Steps of 10 ms.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("no such process")?;
    let ticks = parse_ticks(&stat).context("an unreadable /proc/<pid>/stat")?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Fields 14 and 15 of the line. The second field is a name in parentheses that may hold anything.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

/// Bytes of memory that the process holds now (VmRSS).
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("no such process")?;
    parse_resident(&status).context("no VmRSS in /proc/<pid>/status")
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 900 0 3 0 120 34 0 0 20 0 5 0 100 1 2 3";
        assert_eq!(parse_ticks(stat), Some(154));
        assert_eq!(parse_ticks("42 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(parse_resident("VmPeak:\t  10 kB\nVmRSS:\t     2048 kB\n"), Some(2_048 * 1_024));
        assert_eq!(parse_resident("VmPeak: 1 kB"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let pid = std::process::id();
        assert!(1 << 20 < resident_bytes(pid).unwrap());
        assert!(cpu_time(pid).is_ok());
    }
}
