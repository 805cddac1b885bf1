//! What work takes: time on the clock and CPU of this process.

use std::time::Instant;

use anyhow::Result;

/// Time on the clock and of the CPU, in seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Spent {
    pub(crate) fn each(self, rounds: usize) -> Spent {
        Spent { wall: self.wall / rounds as f64, cpu: self.cpu / rounds as f64 }
    }

    pub(crate) fn text(self) -> String {
        format!("{:.2} ({:.2})", self.wall * 1_000.0, self.cpu * 1_000.0)
    }

    /// Of the times and of the CPU, each by itself.
    pub(crate) fn median(all: Vec<Spent>) -> Spent {
        let middle = |what: fn(&Spent) -> f64| {
            let mut values: Vec<f64> = all.iter().map(what).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Spent { wall: middle(|spent| spent.wall), cpu: middle(|spent| spent.cpu) }
    }
}

/// What work takes; and what it leaves to be done behind, which takes CPU and nobody's time.
pub(crate) async fn spent(work: impl Future<Output = Result<()>>, behind: impl Future<Output = ()>) -> Result<Spent> {
    let (began, cpu) = (now(), cpu_seconds());
    work.await?;
    let wall = began.elapsed().as_secs_f64();
    behind.await;
    Ok(Spent { wall, cpu: cpu_seconds() - cpu })
}

/// CPU of this process, all threads, to the nanosecond.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
