//! What the kernel knows about this process, under the names that Prometheus's own clients use.

use std::fs;

use metrics::{Unit, describe_gauge, gauge};

/// Clock ticks a second in `/proc`: fixed at 100 for every architecture Linux reports to programs (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Gives the metrics their help texts.
pub(super) fn describe() {
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory of the process that is in RAM");
    describe_gauge!("process_open_fds", Unit::Count, "Open file descriptors");
    describe_gauge!("process_start_time_seconds", Unit::Seconds, "Start of the process, in seconds since 1970");
    describe_gauge!("process_cpu_seconds_total", Unit::Seconds, "Processor time used, user and system");
    describe_gauge!("process_threads", Unit::Count, "Threads of the process");
}

/// Reads and records them. Where there is no `/proc`, or it says something unexpected, they are left out.
pub(super) fn record() {
    if let Some(status) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(parse_status) {
        gauge!("process_resident_memory_bytes").set(status.resident_bytes);
        gauge!("process_threads").set(status.threads);
    }
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse_stat) {
        gauge!("process_cpu_seconds_total").set(stat.cpu_ticks / TICKS_PER_SECOND);
        let boot = fs::read_to_string("/proc/stat").ok().as_deref().and_then(parse_boot_time);
        if let Some(boot) = boot {
            gauge!("process_start_time_seconds").set(boot + stat.start_ticks / TICKS_PER_SECOND);
        }
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        // The listing itself holds one open.
        gauge!("process_open_fds").set(descriptors.count().saturating_sub(1) as f64);
    }
}

/// From `/proc/self/status`.
#[derive(Debug, PartialEq)]
pub(super) struct Status {
    pub(super) resident_bytes: f64,
    pub(super) threads: f64,
}

/// From `/proc/self/stat`.
#[derive(Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) cpu_ticks: f64,
    pub(super) start_ticks: f64,
}

pub(super) fn parse_status(text: &str) -> Option<Status> {
    let number = |name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Status { resident_bytes: number("VmRSS:")? * 1024.0, threads: number("Threads:")? })
}

/// Source: proc_pid_stat(5). The second field, the program's name, is in parentheses and may hold anything, so counting
/// begins after the last of them, with field 3.
pub(super) fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| -> Option<f64> { fields.get(field - 3)?.parse().ok() };
    Some(Stat { cpu_ticks: number(14)? + number(15)?, start_ticks: number(22)? })
}

/// The moment the machine started, in seconds since 1970, from `/proc/stat`.
pub(super) fn parse_boot_time(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}
