//! CPU time of a server's processes, from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// The kernel's unit in `/proc/PID/stat`; 100 on every architecture that Debian has.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process and its children that are alive, since they started.
pub(crate) fn used(pid: u32) -> Result<Duration> {
    let (_, mut ticks) = stat(pid).with_context(|| format!("process {pid} is not there"))?;
    for entry in fs::read_dir("/proc")? {
        let child = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        // Processes that end meanwhile are none of ours.
        if let Some((parent, child_ticks)) = child.and_then(stat)
            && parent == pid
        {
            ticks += child_ticks;
        }
    }
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Parent and ticks used (fields 4, 14 and 15 of `proc(5)`).
fn stat(pid: u32) -> Option<(u32, u64)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses; field 3 follows the last one.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some((u32::try_from(number(4)?).ok()?, number(14)? + number(15)?))
}

/// One line on what this ran on.
pub(crate) fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("machine: {}, {cores} cores, Linux {}, load {load}", model.unwrap_or("unknown"), kernel.trim())
}
