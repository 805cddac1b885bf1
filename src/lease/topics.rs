//! Messages to all who listen, within one process.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::broadcast;

use super::{LeaseError, Mutex, lock};

/// Topics at once.
const TOPICS_MAX: usize = 4_096;
/// Messages that wait for one who listens; the oldest is lost beyond it, and the loss is told.
const WAITING_MAX: usize = 256;

/// Who listens to what. A std lock: held for map operations only.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<HashMap<Box<str>, broadcast::Sender<Heard>>>);

/// What listeners are told.
#[derive(Clone, Debug)]
enum Heard {
    Message(Arc<[u8]>),
    Lost,
}

impl Topics {
    /// Listens, and says whether nobody did before.
    pub(super) fn subscribe(&self, topic: &str) -> Result<(Subscription, bool), LeaseError> {
        let mut topics = lock(&self.0);
        if let Some(sender) = topics.get(topic) {
            return Ok((Subscription(sender.subscribe()), false));
        }
        if TOPICS_MAX <= topics.len() {
            topics.retain(|_, sender| 0 < sender.receiver_count());
        }
        if TOPICS_MAX <= topics.len() {
            return Err(LeaseError::TooMany { what: "topics", max: TOPICS_MAX });
        }
        let (sender, receiver) = broadcast::channel(WAITING_MAX);
        topics.insert(topic.into(), sender);
        Ok((Subscription(receiver), true))
    }

    /// Tells those who listen.
    pub(super) fn tell(&self, topic: &str, message: &[u8]) {
        let sender = lock(&self.0).get(topic).cloned();
        if let Some(sender) = sender {
            // Nobody who listens is no error.
            sender.send(Heard::Message(message.into())).ok();
        }
    }

    /// Tells all that they may have missed something.
    pub(super) fn tell_of_loss(&self) {
        for sender in lock(&self.0).values() {
            sender.send(Heard::Lost).ok();
        }
    }

    /// What is listened to.
    pub(super) fn names(&self) -> Vec<Box<str>> {
        let mut topics = lock(&self.0);
        topics.retain(|_, sender| 0 < sender.receiver_count());
        topics.keys().cloned().collect()
    }
}

/// What one who listens hears.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Heard>);

impl Subscription {
    /// The next message; `None` where some were or may have been lost, so that whoever listens looks for itself. Waits for ever where nobody is left to
    /// tell anything. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<[u8]>> {
        match self.0.recv().await {
            Ok(Heard::Message(message)) => Some(message),
            Ok(Heard::Lost) | Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
