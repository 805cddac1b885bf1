//! The timeout of request heads, at no cost for each request.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use hyper::rt::{Sleep, Timer};

/// The timer of one connection.
///
/// hyper sets a timer for each head and drops it when the head is there, which costs an entry into the runtime's timer wheel and out
/// of it again. This one enters the wheel once and stays: a later head has a later deadline, which is looked at only when the
/// earlier one is over.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadTimer {
    armed: Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>,
}

struct HeadSleep {
    deadline: tokio::time::Instant,
    armed: Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: std::time::Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HeadSleep { deadline: deadline.into(), armed: Arc::clone(&self.armed) })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let sleep = armed.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.deadline)));
        loop {
            if sleep.deadline() > self.deadline {
                sleep.as_mut().reset(self.deadline);
            }
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() == self.deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(self.deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Time is paused: it moves only when nothing else can happen.
    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_kept_though_the_wheel_is_entered_once() {
        let timer = HeadTimer::default();
        let start = tokio::time::Instant::now();
        let mut first = timer.sleep(Duration::from_secs(60));
        assert!(futures_util::poll!(&mut first).is_pending());
        drop(first);
        tokio::time::advance(Duration::from_secs(40)).await;
        timer.sleep(Duration::from_secs(60)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(100));
        // Not hyper's order, but no reason to be wrong.
        let _late = timer.sleep(Duration::from_secs(60));
        timer.sleep(Duration::from_secs(10)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(110));
    }
}
