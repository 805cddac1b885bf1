//! The composition root: builds the rooms from the bottom up, owns their tasks, and takes them down in order.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accounts::{self, Accounts, Ledger, Limited, Reached},
    api::{Behind, Edge, Listener, Parts, ProxyEdge},
    clock::Clock,
    concurrency::{Alarms, Alert, Concurrency, Families, Family, Scope, StoredLimits},
    config::{self, Config},
    ids::{AccountSid, RandomId},
    lease::{self, LeaseError, Leases, Local, Redis},
    media::{self, IgnoredQuery, Media, Signing, http::Addresses, origin::Origin, speech::Speech},
    observability::{self, Health, Lack, Metrics, Unready},
    outbound::{self, Client, Forwarder, Guard},
    store::Store,
};

/// How often gauges are set and the data directory is tried.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);
/// How often other nodes are listened to: what they purge is purged here within ten seconds (`spec/media.md` §2).
const HEAR_INTERVAL: Duration = Duration::from_secs(5);

/// Runs the node until SIGTERM or Ctrl-C, then drains it.
///
/// # Errors
/// A part could not be set up.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    observability::install_logs(&config.observability)?;
    let metrics = observability::install_metrics()?;
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    raise_file_limit();
    let node = Node::start(config, metrics).await?;
    let mut hang_up = signal(SignalKind::hangup()).context("waiting for SIGHUP")?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            result = tokio::signal::ctrl_c() => break result.context("waiting for Ctrl-C")?,
            // Reloading comes with what can change at run time; until then the signal must not end the node.
            _ = hang_up.recv() => tracing::warn!("SIGHUP ignored: a changed configuration needs a restart"),
        }
    }
    node.stop().await;
    Ok(())
}

/// Lets this process open as many files as the system allows it: connections, spools and the disk tier's blocks take one each,
/// and the usual soft limit of 1 024 is there for programs that still call `select`.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        tracing::warn!(%error, soft = limit.current, hard = limit.maximum, "limit of open files cannot be raised");
    }
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// Where media and API are served.
    pub address: SocketAddr,
    /// Where metrics and health are served.
    pub ops_address: SocketAddr,
    /// Where the reverse proxy is served, if it is.
    pub proxy_address: Option<SocketAddr>,
    /// Its clock: tests move it.
    pub clock: Clock,
    health: Health,
    media: Media,
    accounts: Accounts,
    concurrency: Concurrency,
    /// Work that outlives its request.
    fills: TaskTracker,
    /// Serves callers.
    serving: JoinSet<()>,
    /// Metrics and health, and who watches over them.
    tasks: JoinSet<()>,
    drain_timeout: Duration,
    draining: CancellationToken,
    stopped: CancellationToken,
}

impl Node {
    /// Starts a node. It is ready when this returns.
    ///
    /// # Errors
    /// An address is taken, a file cannot be used, or the data directory is locked by another process.
    pub async fn start(config: Config, metrics: Metrics) -> anyhow::Result<Node> {
        let clock = Clock::system();
        let health = Health::new();
        let (draining, stopped) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();

        let ops = TcpListener::bind(config.ops_listen).await;
        let ops = ops.with_context(|| format!("cannot listen on {} (ops_listen)", config.ops_listen))?;
        let ops_address = ops.local_addr().context("asking for the address of ops_listen")?;
        tasks.spawn(serve_ops(ops, metrics, health.clone(), stopped.clone()));

        let listener = Listener::bind(config.listen, tls(&config)?, &config.http).await?;
        let address = listener.address().context("asking for the address of listen")?;

        let proxy = match config.proxy.endpoints() {
            Some((listen, origin)) => Some((Listener::bind(listen, None, &config.http).await?, origin)),
            None => None,
        };
        let proxy_address = proxy.as_ref().map(|(listener, _)| listener.address()).transpose();
        let proxy_address = proxy_address.context("asking for the address of proxy.listen")?;
        let own_listeners = [Some(address), Some(ops_address), proxy_address].into_iter().flatten().collect();

        let fills = TaskTracker::new();
        let loop_id = format!("ringback-{}", RandomId::draw(&mut rand::rng()));
        outbound::install_crypto_provider();
        let callbacks = config.outbound.for_callbacks();
        let guard = Guard::new(&config.outbound, own_listeners)?;
        let callback_guard = Guard { allow: Guard::new(&callbacks, Vec::new())?.allow, ..guard.clone() };
        let client = Client::new(&config.outbound, guard.clone(), &loop_id, clock.clone())?;
        let speech =
            Speech::start(config.media.speech.clone(), &config.outbound, guard.clone(), &loop_id, clock.clone())
                .await?;
        let teller = Client::new(&callbacks, callback_guard, &loop_id, clock.clone())?;
        let origin = Origin::new(client, config.media.origin.clone(), clock.clone());
        let remembered_max = config.media.fill.remembered_max;
        let ignored_query = IgnoredQuery::new(&config.media.address.ignored_query)?;
        let signing = Signing::new(&config.media.signing)?;
        let store = open_store(&config).await?;
        let accounts = accounts(&config.accounts, store.clone(), &config.data_dir, clock.clone()).await?;
        let leases = leases(&config.lease, clock.clone()).context("who keeps leases (lease)")?;
        let limits = Arc::new(StoredLimits::open(store, clock.clone()).await.context("reading the limits")?);
        let concurrency =
            Concurrency::new(config.concurrency, leases.clone(), config.lease.lasts, limits.clone(), clock.clone())
                .with_families(Arc::new(Parents(accounts.clone())));
        let rooms = media::Rooms {
            origin,
            speech,
            concurrency: concurrency.clone(),
            clock: clock.clone(),
            tasks: fills.clone(),
        };
        let media = Media::open(config.media, &config.data_dir, rooms).await?;

        let parts = Parts {
            accounts: accounts.clone(),
            media: media.clone(),
            concurrency: concurrency.clone(),
            limits: limits.clone(),
            tenant: config.http.tenant().context("http.anonymous_tenant is no tenant")?,
            ignored_query,
            signing,
            addresses: Addresses::new(config.public_url.as_deref()),
            clock: clock.clone(),
            tasks: fills.clone(),
            fills_remembered_max: remembered_max,
        };
        let behind = Behind { is_loopback: address.ip().is_loopback(), is_tls: config.tls_cert.is_some() };
        let edge = Edge::new(&config.http, behind, parts);
        let drain_timeout = config.drain_timeout;
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(edge, draining.clone(), drain_timeout));
        if let Some((listener, origin)) = proxy {
            let forwarder = Forwarder::new(&config.outbound, guard, &origin, &loop_id, clock.clone())?;
            let edge = ProxyEdge::new(media.proxy(forwarder, config.proxy), clock.clone());
            serving.spawn(listener.serve(edge, draining.clone(), drain_timeout));
        }
        if media.is_shared() {
            tasks.spawn(hear(media.clone(), stopped.clone()));
        }
        tasks.spawn(hear_of_accounts(accounts.clone(), stopped.clone()));
        tasks.spawn(hear_of_limits(limits, stopped.clone()));
        tasks.spawn(keep_places(leases.clone(), concurrency.clone(), stopped.clone()));
        tasks.spawn(tell_others(accounts.clone(), teller, stopped.clone()));
        tasks.spawn(look_out(concurrency.clone(), Bells(accounts.clone()), stopped.clone()));
        let watched =
            Watched { media: media.clone(), accounts: accounts.clone(), leases, data_dir: config.data_dir.clone() };
        tasks.spawn(watch(watched, health.clone(), stopped.clone()));

        health.clear(Unready::Starting);
        let proxied = proxy_address.map(tracing::field::display);
        tracing::info!(%address, %ops_address, proxy_address = proxied, data_dir = %config.data_dir.display(), "node is ready");
        Ok(Node {
            address,
            ops_address,
            proxy_address,
            clock,
            health,
            media,
            accounts,
            concurrency,
            fills,
            serving,
            tasks,
            drain_timeout,
            draining,
            stopped,
        })
    }

    /// Bytes of audio on its way: none once every fill has ended and its readers have gone.
    pub fn spooled(&self) -> u64 {
        self.media.spooled()
    }

    /// Drains the node: no new connections, running requests end, fills that somebody was promised end, stores are closed.
    pub async fn stop(mut self) {
        tracing::info!("node is draining");
        self.health.set(Unready::Draining);
        self.draining.cancel();
        self.fills.close();
        // The listener ends within the drain time by itself, and what it still answers may begin fills. Stores close after both: they feed the
        // streams that still run.
        let mut over = std::pin::pin!(tokio::time::sleep(self.drain_timeout));
        while self.serving.join_next().await.is_some() {}
        tokio::select! {
            biased;
            () = self.fills.wait() => {}
            () = &mut over => tracing::warn!(fills = self.fills.len(), "drain time is over, leaving fills unfinished"),
        }
        // What has ended is given back now, so that nobody has to wait until it expires.
        self.concurrency.close().await;
        self.media.close().await;
        self.accounts.close().await;
        // Metrics and health come last, so that the drain can be watched.
        self.stopped.cancel();
        while self.tasks.join_next().await.is_some() {}
        tracing::info!("node has stopped");
    }
}

fn tls(config: &Config) -> anyhow::Result<Option<rustls::ServerConfig>> {
    let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let identity = config::read_identity(certificate, key)?;
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(identity));
    Ok(Some(rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver)))
}

async fn serve_ops(listener: TcpListener, metrics: Metrics, health: Health, stopped: CancellationToken) {
    if let Err(error) = observability::serve_ops(listener, metrics, health.clone(), stopped).await {
        tracing::error!(%error, "metrics and health listener failed");
        health.fail();
    }
}

/// Listens to the nodes that share the durable tier.
async fn hear(media: Media, stopped: CancellationToken) {
    let mut ticks = tokio::time::interval(HEAR_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stopped.cancelled() => return,
            () = media.hear() => {}
        }
    }
}

/// Opens the accounts that a configuration names, for the command line. A node may be running on them.
///
/// # Errors
/// The store or the key file cannot be used.
pub async fn open_accounts(config: &Config) -> anyhow::Result<Accounts> {
    let store = open_store(config).await?;
    let accounts = Accounts::open(config.accounts.clone(), store, &config.data_dir, Clock::system()).await;
    accounts.context("opening the accounts")
}

/// Opens the limits that a configuration names, and the log of who changes them, for the command line. A node may be running on them. The store is to be closed by whoever has used them.
///
/// # Errors
/// The store cannot be used.
pub async fn open_limits(config: &Config) -> anyhow::Result<(StoredLimits, Ledger, Store)> {
    let store = open_store(config).await?;
    let limits = StoredLimits::open(store.clone(), Clock::system()).await.context("reading the limits")?;
    let ledger = Ledger::open(store.clone()).await.context("opening the audit log")?;
    Ok((limits, ledger, store))
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    Store::open(&config.store, &config.data_dir).await.context("opening the store of accounts and limits (store)")
}

/// Opens the accounts. A node of its own that has none yet makes one, so that there is something to authenticate with.
async fn accounts(config: &accounts::Config, store: Store, data_dir: &Path, clock: Clock) -> anyhow::Result<Accounts> {
    let is_shared = store.is_shared();
    let accounts = Accounts::open(config.clone(), store, data_dir, clock).await.context("opening the accounts")?;
    if !is_shared && let Some(first) = accounts.create_first_account(data_dir).await.context("the first account")? {
        tracing::info!(account = %first.account.sid, file = %first.file.display(), "the first account was made; its token is in the file");
    }
    Ok(accounts)
}

/// Who keeps leases: this process, or the server that a fleet shares.
fn leases(config: &lease::Config, clock: Clock) -> Result<Arc<dyn Leases>, LeaseError> {
    if config.url.is_empty() { Ok(Arc::new(Local::new(clock))) } else { Ok(Arc::new(Redis::new(config)?)) }
}

/// Keeps the way to who keeps leases open, and what this node holds of them.
async fn keep_places(leases: Arc<dyn Leases>, concurrency: Concurrency, stopped: CancellationToken) {
    tokio::select! {
        () = stopped.cancelled() => {}
        _ = async { tokio::join!(leases.keep(), concurrency.keep()) } => {}
    }
}

/// Whose subaccounts accounts are, as the store has it.
#[derive(Debug)]
struct Parents(Accounts);

impl Families for Parents {
    fn of(&self, account: AccountSid) -> BoxFuture<'_, Family> {
        Box::pin(async move {
            let (parent, allowed) = self.0.family_of(&account).await.unwrap_or_else(|error| {
                tracing::warn!(%account, %error, "whose subaccount it is cannot be looked up; it counts for itself");
                (None, None)
            });
            Family { parent, allowed }
        })
    }
}

/// Listens to changes of accounts, those of other nodes included.
async fn hear_of_accounts(accounts: Accounts, stopped: CancellationToken) {
    tokio::select! {
        () = stopped.cancelled() => {}
        () = accounts.keep_hearing() => {}
    }
}

/// Listens to changes of limits, those of other nodes included.
async fn hear_of_limits(limits: Arc<StoredLimits>, stopped: CancellationToken) {
    tokio::select! {
        () = stopped.cancelled() => {}
        () = limits.keep_hearing() => {}
    }
}

/// Tells developers what was revoked, and accounts which of their limits are reached.
async fn tell_others(accounts: Accounts, client: Client, stopped: CancellationToken) {
    tokio::select! {
        () = stopped.cancelled() => {}
        () = accounts.keep_telling(&client) => {}
    }
}

/// Looks out for limits that are reached.
async fn look_out(concurrency: Concurrency, bells: Bells, stopped: CancellationToken) {
    tokio::select! {
        () = stopped.cancelled() => {}
        () = concurrency.keep_looking_out(&bells) => {}
    }
}

/// Has accounts told of limits that are reached.
#[derive(Debug)]
struct Bells(Accounts);

impl Alarms for Bells {
    fn raise(&self, alert: Alert) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Alert { scope, resource, threshold, limit, current } = alert;
            let limited = match scope {
                Scope::Account(account) => Limited::Account(account),
                Scope::Key(key) => Limited::Key(key),
                // They are the operator's, who has metrics.
                Scope::Platform | Scope::Destination(_) => return,
            };
            let (resource, threshold) = (resource.as_str(), threshold.as_str());
            let noted = self.0.note_reached(&Reached { limited, resource, threshold, limit, current }).await;
            match noted {
                Ok(_) => {}
                // That the store is away is said by who asks it for changes; the limit is seen again.
                Err(error) if error.is_away() => {}
                Err(error) => tracing::error!(%error, %resource, "it is not noted that a limit is reached"),
            }
        })
    }
}

/// What is looked after.
struct Watched {
    media: Media,
    accounts: Accounts,
    leases: Arc<dyn Leases>,
    data_dir: PathBuf,
}

/// Sets gauges and keeps readiness true to the data directory.
async fn watch(watched: Watched, health: Health, stopped: CancellationToken) {
    let Watched { media, accounts, leases, data_dir } = watched;
    let mut standing = leases.standing();
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    loop {
        tokio::select! {
            () = stopped.cancelled() => return,
            _ = ticks.tick() => {}
            // Told as soon as it is known: limits hold otherwise from then on.
            Ok(()) = standing.changed() => {
                health.set_lack(Lack::Leases, !is_deciding(&mut standing));
                continue;
            }
        }
        health.set_lack(Lack::Leases, !is_deciding(&mut standing));
        let lacks = media.report();
        health.set_lack(Lack::DiskTier, lacks.disk_tier);
        health.set_lack(Lack::DurableTier, lacks.durable_tier);
        health.set_lack(Lack::AccountStore, accounts.is_away());
        let directory = data_dir.clone();
        let usable = tokio::task::spawn_blocking(move || is_usable(&directory)).await.unwrap_or(false);
        if usable {
            health.clear(Unready::DataDirectory);
        } else {
            tracing::error!(data_dir = %data_dir.display(), "data directory cannot be used");
            health.set(Unready::DataDirectory);
        }
    }
}

fn is_deciding(standing: &mut watch::Receiver<lease::Standing>) -> bool {
    matches!(*standing.borrow_and_update(), lease::Standing::Deciding { .. })
}

/// A full disk is survived (audio is served without being stored); a directory that is gone or read-only is not.
fn is_usable(data_dir: &Path) -> bool {
    match tempfile::tempfile_in(data_dir) {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded),
    }
}
