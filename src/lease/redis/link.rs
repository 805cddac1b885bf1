//! The one connection to the server: made, watched, made again; and what it is known by then of the leases there.
//!
//! Questions never wait for a connection: there is one, or the node decides without. A server that is slow is like one that is away, until it answers the
//! question of each second in time again.

use std::{sync::Arc, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, ProtocolVersion, PushInfo, PushKind, RedisError, Script,
    ScriptInvocation, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use metrics::{counter, gauge};
use tokio::sync::{Notify, Semaphore, watch};

use super::super::{Config, LeaseError, Mutex, Standing, Subscription, lock, topics::Topics};
use super::{BATCH, Keys, millis};

/// How often the server is asked how things are.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before the second try to connect; doubled each time.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Answers to the question of each second that may be missing one after the other until another connection is made.
const SILENCES_MAX: u32 = 3;
/// Leases that are remembered to be released because nobody heard whether they were taken. Beyond it they expire.
const UNHEARD_MAX: usize = 65_536;

pub(super) struct Link {
    client: Client,
    lasts: Duration,
    connect_timeout: Duration,
    answer_timeout: Duration,
    held_key: String,
    leases_key: String,
    prefix: String,
    open: Script,
    release: Script,
    state: Mutex<State>,
    /// Something has changed that the keeper has to look at.
    look: Notify,
    questions: Semaphore,
    /// As many again for leases that are held: decisions, however many, leave them room to be renewed and released.
    of_held: Semaphore,
    standing: watch::Sender<Standing>,
    topics: Arc<Topics>,
    unheard: Mutex<Vec<String>>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections.
    number: u64,
}

impl Link {
    pub(super) fn new(config: &Config, keys: &Keys, open: Script, release: Script) -> Result<Link, LeaseError> {
        let unusable = || LeaseError::Unusable("lease.url is no address of a Redis server".to_owned());
        let info = config.url.parsed().ok_or_else(unusable)?;
        // The third version of the protocol has messages on the same connection as answers.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).map_err(|_| unusable())?;
        Ok(Link {
            client,
            lasts: config.lasts,
            connect_timeout: config.connect_timeout,
            answer_timeout: config.answer_timeout,
            held_key: keys.held.clone(),
            leases_key: keys.leases.clone(),
            prefix: keys.prefix.clone(),
            open,
            release,
            state: Mutex::default(),
            look: Notify::new(),
            questions: Semaphore::new(config.questions_max),
            of_held: Semaphore::new(config.questions_max),
            standing: watch::Sender::new(Standing::Away),
            topics: Arc::default(),
            unheard: Mutex::default(),
        })
    }

    pub(super) fn lasts(&self) -> Duration {
        self.lasts
    }

    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The epoch that questions are asked in, if there is any sense in asking.
    pub(super) fn epoch(&self, also_while_recovering: bool) -> Result<u64, LeaseError> {
        match *self.standing.borrow() {
            Standing::Deciding { epoch } => Ok(epoch),
            Standing::Recovering { epoch } if also_while_recovering => Ok(epoch),
            Standing::Recovering { .. } => Err(LeaseError::Recovering { left: self.lasts }),
            Standing::Away => Err(LeaseError::Unreachable),
        }
    }

    /// Asks, once: whoever asks for something that must not happen twice has no other way to know.
    pub(super) async fn ask<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, LeaseError> {
        self.ask_among(&self.questions, call).await
    }

    /// The same for leases that are held: to renew, to register or to release them.
    pub(super) async fn ask_of_held<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, LeaseError> {
        self.ask_among(&self.of_held, call).await
    }

    async fn ask_among<T: FromRedisValue>(
        &self,
        questions: &Semaphore,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, LeaseError> {
        let _question = questions.try_acquire().map_err(|_| LeaseError::Crowded)?;
        let (mut connection, number) = self.connection()?;
        self.in_time(number, call.invoke_async(&mut connection)).await
    }

    async fn in_time<T>(
        &self,
        number: u64,
        question: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, LeaseError> {
        match tokio::time::timeout(self.answer_timeout, question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_loss(&error) => {
                self.note_loss(number);
                Err(LeaseError::Unreachable)
            }
            Ok(Err(error)) => Err(LeaseError::Refused(Arc::new(error))),
            Err(_) => {
                // Whoever asks next does not wait as long for nothing.
                self.note_away();
                Err(LeaseError::TimedOut)
            }
        }
    }

    /// What a script says instead of an answer.
    pub(super) fn note_verdict(&self, answer: &[i64]) -> LeaseError {
        match answer {
            [-2, left, ..] => {
                LeaseError::Recovering { left: Duration::from_millis(u64::try_from(*left).unwrap_or_default()) }
            }
            [-1, ..] => {
                // Which epoch it is, the keeper asks at once; until then nobody is asked for decisions.
                self.note_away();
                LeaseError::Recovering { left: self.lasts }
            }
            _ => LeaseError::Misread("a decision"),
        }
    }

    fn connection(&self) -> Result<(MultiplexedConnection, u64), LeaseError> {
        let state = lock(&self.state);
        state.connection.clone().map(|connection| (connection, state.number)).ok_or(LeaseError::Unreachable)
    }

    fn note_loss(&self, number: u64) {
        {
            let mut state = lock(&self.state);
            if state.number != number {
                return;
            }
            state.connection = None;
        }
        self.note_away();
    }

    fn note_away(&self) {
        self.set_standing(Standing::Away);
        self.look.notify_one();
    }

    fn set_standing(&self, standing: Standing) {
        let is_new = self.standing.send_if_modified(|before| std::mem::replace(before, standing) != standing);
        if is_new {
            for state in Standing::STATES {
                gauge!("ringback_lease_standing", "state" => *state).set(u8::from(*state == standing.as_str()));
            }
        }
    }

    /// A lease that may be taken without our hearing of it.
    pub(super) fn unheard(&self, member: String) -> Unheard<'_> {
        Unheard { link: self, member: Some(member) }
    }

    pub(super) fn subscribe(&self, topic: &str) -> Result<Subscription, LeaseError> {
        let (subscription, is_first) = self.topics.subscribe(topic)?;
        if is_first {
            self.look.notify_one();
        }
        Ok(subscription)
    }

    pub(super) async fn publish(&self, topic: &str, message: &[u8]) -> Result<(), LeaseError> {
        let _question = self.questions.try_acquire().map_err(|_| LeaseError::Crowded)?;
        let (mut connection, number) = self.connection()?;
        let mut command = ::redis::cmd("PUBLISH");
        command.arg(format!("{}:{topic}", self.prefix)).arg(message);
        self.in_time(number, command.query_async::<Value>(&mut connection)).await.map(drop)
    }

    /// Keeps a connection, and looks each second how things are, until it is dropped.
    pub(super) async fn keep(&self) {
        let (mut pause, mut was_told) = (PAUSE, false);
        loop {
            match self.connect().await {
                Ok((connection, number, run)) => {
                    (pause, was_told) = (PAUSE, false);
                    self.watch(connection, number, &run).await;
                }
                // Once for each time that it is away, not for each try.
                Err(error) if !was_told => {
                    tracing::warn!(%error, "no connection to who keeps the leases; the node decides alone");
                    was_told = true;
                }
                Err(error) => tracing::debug!(%error, "no connection to who keeps the leases"),
            }
            self.note_away();
            // At most half of it by chance: nodes that lost the same server come back one after the other.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            // Within the length of a lease it is known again who holds what.
            pause = PAUSE_MAX.min(2 * pause).min(self.lasts / 4);
        }
    }

    /// A new connection, its number, and which run of the server it leads to.
    async fn connect(&self) -> Result<(MultiplexedConnection, u64, String), LeaseError> {
        let (topics, prefix) = (self.topics.clone(), format!("{}:", self.prefix));
        let told = move |push: PushInfo| {
            tell(&topics, &prefix, &push);
            Ok::<(), ()>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None)
            .set_push_sender(told);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let mut connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(LeaseError::Refused(Arc::new(error))),
            Err(_) => return Err(LeaseError::TimedOut),
        };
        let number = lock(&self.state).number + 1;
        let mut info = ::redis::cmd("INFO");
        info.arg("server");
        let text: String = self.in_time(number, info.query_async(&mut connection)).await?;
        let run = text.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default().trim().to_owned();
        {
            let mut state = lock(&self.state);
            state.number = number;
            state.connection = Some(connection.clone());
        }
        Ok((connection, number, run))
    }

    /// Looks how things are until the connection is lost.
    async fn watch(&self, mut connection: MultiplexedConnection, number: u64, run: &str) {
        let mut silences = 0;
        // What was said before this connection was made is not heard any more.
        self.topics.tell_of_loss();
        let mut listened: Vec<Box<str>> = Vec::new();
        loop {
            let wait = match self.look_once(&mut connection, number, run).await {
                Ok(opens_in) => {
                    silences = 0;
                    self.listen(&mut connection, &mut listened).await;
                    self.release_unheard().await;
                    if opens_in.is_zero() { ASK_INTERVAL } else { ASK_INTERVAL.min(opens_in) }
                }
                Err(LeaseError::TimedOut) => {
                    silences += 1;
                    self.answer_timeout
                }
                Err(error) => {
                    tracing::warn!(%error, "who keeps the leases cannot be asked");
                    return self.note_loss(number);
                }
            };
            if SILENCES_MAX <= silences || lock(&self.state).connection.is_none() {
                return self.note_loss(number);
            }
            tokio::select! {
                () = self.look.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            if lock(&self.state).connection.is_none() {
                return;
            }
        }
    }

    /// Asks which epoch it is, and notes it: how long until decisions are made.
    async fn look_once(
        &self,
        connection: &mut MultiplexedConnection,
        number: u64,
        run: &str,
    ) -> Result<Duration, LeaseError> {
        let mut call = self.open.key(&self.held_key);
        // A number that a double holds exactly, because scripts count in those.
        let candidate = rand::random::<u64>() >> 12;
        call.key(&self.leases_key).arg(run).arg(candidate).arg(millis(self.lasts));
        let (epoch, opens_in): (u64, u64) = self.in_time(number, call.invoke_async(connection)).await?;
        let standing = if opens_in == 0 { Standing::Deciding { epoch } } else { Standing::Recovering { epoch } };
        if epoch == candidate {
            // Ours is the one that began: it is counted once in the fleet.
            counter!("ringback_lease_epochs_total").increment(1);
            tracing::warn!("leases were lost or are kept for the first time; holders register");
        }
        if *self.standing.borrow() != standing {
            tracing::info!(standing = standing.as_str(), "leases are kept by the server");
        }
        self.set_standing(standing);
        Ok(Duration::from_millis(opens_in))
    }

    /// Listens in the server to what is listened to here.
    async fn listen(&self, connection: &mut MultiplexedConnection, listened: &mut Vec<Box<str>>) {
        let wanted = self.topics.names();
        for topic in wanted.iter().filter(|topic| !listened.contains(topic)) {
            connection.subscribe(format!("{}:{topic}", self.prefix)).await.ok();
        }
        for topic in listened.iter().filter(|topic| !wanted.contains(topic)) {
            connection.unsubscribe(format!("{}:{topic}", self.prefix)).await.ok();
        }
        *listened = wanted;
    }

    /// Gives back what may have been taken without our hearing of it.
    async fn release_unheard(&self) {
        let mut members = std::mem::take(&mut *lock(&self.unheard));
        while !members.is_empty() {
            let batch = members.split_off(members.len().saturating_sub(BATCH));
            if self.release_members(&batch).await.is_err() {
                // It is tried again when the server has answered the next time.
                let mut unheard = lock(&self.unheard);
                let room = UNHEARD_MAX.saturating_sub(unheard.len());
                unheard.extend(members.into_iter().chain(batch).take(room));
                return;
            }
        }
    }

    async fn release_members(&self, members: &[String]) -> Result<usize, LeaseError> {
        let (mut connection, number) = self.connection()?;
        let mut call = self.release.key(&self.held_key);
        call.key(&self.leases_key).arg(members);
        self.in_time(number, call.invoke_async(&mut connection)).await
    }
}

/// A lease of which it is not known whether it was taken. Dropped without being [heard](Unheard::heard) of, it is released when the server answers
/// again.
pub(super) struct Unheard<'a> {
    link: &'a Link,
    member: Option<String>,
}

impl Unheard<'_> {
    /// It is known.
    pub(super) fn heard(mut self) {
        self.member = None;
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        let Some(member) = self.member.take() else { return };
        let mut unheard = lock(&self.link.unheard);
        if unheard.len() < UNHEARD_MAX {
            unheard.push(member);
            self.link.look.notify_one();
        }
    }
}

/// Whether there is no sense in asking this server by this connection any more.
fn is_loss(error: &RedisError) -> bool {
    let is_away = matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::AuthenticationFailed
            | ErrorKind::Server(
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::BusyLoading
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ClusterDown
            )
    );
    is_away || error.is_connection_dropped() || error.is_unrecoverable_error()
}

/// Passes a message on to those who listen.
fn tell(topics: &Topics, prefix: &str, push: &PushInfo) {
    if push.kind != PushKind::Message {
        return;
    }
    let [Value::BulkString(channel), Value::BulkString(message)] = push.data.as_slice() else { return };
    let topic = std::str::from_utf8(channel).ok().and_then(|channel| channel.strip_prefix(prefix));
    if let Some(topic) = topic {
        topics.tell(topic, message);
    }
}
