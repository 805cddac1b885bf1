//! Through a server.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ringback::{
    lease::{Chain, Config, Lease, LeaseId, Leases as _, Pool, Redis, RedisUrl, Standing, Take, Taken},
    testing::redis_server::RedisServer,
};

const DECISIONS: usize = 100_000;
const ACCOUNTS: usize = 1_000;
/// Questions under way at once.
const PIPELINED: usize = 256;
const LASTS: Duration = Duration::from_secs(60);

/// What the server used since it was started, user and system together.
fn server_cpu(server: &RedisServer) -> Result<f64> {
    let info = server.tell("INFO cpu")?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    let used = field("used_cpu_user:").zip(field("used_cpu_sys:")).context("INFO says nothing of CPU")?;
    Ok(used.0 + used.1)
}

/// Time, CPU of the server and its rate, for so many of them.
async fn measured<T>(
    server: &RedisServer,
    what: &str,
    count: usize,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let before = server_cpu(server)?;
    #[expect(clippy::disallowed_methods, reason = "measures")]
    let began = Instant::now();
    let done = work.await?;
    let took = began.elapsed().as_secs_f64();
    let cpu = (server_cpu(server)? - before) * 1e6 / count as f64;
    println!("{what:<44} {:>10.0} {cpu:>12.2} {:>10.1}", count as f64 / took, took * 1e6 / count as f64);
    Ok(done)
}

pub(crate) async fn run() -> Result<()> {
    let server = RedisServer::start().await?;
    // Recovery after a first start is as long as a lease.
    let config = Config { url: RedisUrl::new(server.url()), lasts: Duration::from_secs(1), ..Config::default() };
    let leases = Redis::new(&config)?;
    let keeping = tokio::spawn({
        let leases = leases.clone();
        async move { leases.keep().await }
    });
    leases.standing().wait_for(|standing| matches!(standing, Standing::Deciding { .. })).await?;
    println!(
        "{}",
        server.tell("INFO server")?.lines().find(|line| line.starts_with("redis_version")).unwrap_or_default()
    );
    println!("through it, four levels, {ACCOUNTS} accounts, {PIPELINED} questions under way");
    println!("{:<44} {:>10} {:>12} {:>10}", "", "a second", "server µs", "µs each");
    let chains = chains(&leases)?;
    let held = measured(&server, "take", DECISIONS, take_all(&leases, &chains)).await?;
    ensure!(held.len() == DECISIONS, "not all were taken");
    let full = [1, 1, 1, 1];
    measured(&server, "take that is refused", DECISIONS, async {
        let refused = asked(DECISIONS, |number| take(&leases, &chains, number, &full)).await?;
        ensure!(refused.iter().all(Option::is_none), "one was taken");
        Ok(())
    })
    .await?;
    let all: Vec<Lease<'_>> = held.iter().map(|(id, chain)| Lease { id: *id, chain }).collect();
    measured(&server, "renew, all in one call", DECISIONS, async {
        let there = leases.renew(&all, LASTS).await?;
        ensure!(there.iter().all(|is_there| *is_there), "one was lost");
        Ok(())
    })
    .await?;
    let (singly, together) = all.split_at(DECISIONS / 2);
    measured(&server, "release, one by one", singly.len(), async {
        asked(singly.len(), |number| {
            let (leases, lease) = (&leases, singly.get(number).copied());
            async move { Ok(leases.release(&lease.into_iter().collect::<Vec<_>>()).await?) }
        })
        .await
    })
    .await?;
    measured(&server, "release, all in one call", together.len(), async { Ok(leases.release(together).await?) })
        .await?;
    measured(&server, "take and release, one at a time", 5_000, async {
        for number in 0..5_000 {
            let (id, chain) = take(&leases, &chains, number, &[u32::MAX; 4]).await?.context("refused")?;
            leases.release(&[Lease { id, chain }]).await?;
        }
        Ok(())
    })
    .await?;
    keeping.abort();
    Ok(())
}

fn chains(leases: &Redis) -> Result<Vec<Chain>> {
    let mut all = Vec::new();
    for number in 0..ACCOUNTS as u128 {
        let id = (number + 1) << 96 | 0x0123_4567_89ab_cdef;
        let own = |class| Pool::of_family(id, class, id + u128::from(class));
        all.push(leases.chain(&[Pool::shared(1, 0), own(2), own(3), own(4)])?);
    }
    Ok(all)
}

async fn take_all<'a>(leases: &Redis, chains: &'a [Chain]) -> Result<Vec<(LeaseId, &'a Chain)>> {
    let taken = asked(DECISIONS, |number| take(leases, chains, number, &[u32::MAX; 4])).await?;
    Ok(taken.into_iter().flatten().collect())
}

async fn take<'a>(
    leases: &Redis,
    chains: &'a [Chain],
    number: usize,
    caps: &[u32],
) -> Result<Option<(LeaseId, &'a Chain)>> {
    let chain = chains.get(number % chains.len()).context("no chain")?;
    let take = Take { chain, caps, lasts: Some(LASTS), is_held_already: false };
    match leases.take(take).await? {
        Taken::Held { lease, .. } => Ok(Some((lease, chain))),
        Taken::Full { .. } => Ok(None),
    }
}

/// Asks so often, so many at once.
async fn asked<T, F: Future<Output = Result<T>>>(count: usize, ask: impl Fn(usize) -> F) -> Result<Vec<T>> {
    use futures_util::{StreamExt as _, TryStreamExt as _, stream};
    stream::iter((0..count).map(ask)).buffered(PIPELINED).try_collect().await
}
