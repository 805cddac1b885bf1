//! Answers that are there at once, or come later.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// What whoever keeps the leases says: at once where that is this process, later where it is another.
pub enum Answer<'a, T> {
    /// It is there. Taken out by the first poll.
    Now(Option<T>),
    /// It comes.
    Later(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// An answer that is there.
    pub fn now(answer: T) -> Answer<'a, T> {
        Answer::Now(Some(answer))
    }

    /// An answer that comes.
    pub fn later(answer: impl Future<Output = T> + Send + 'a) -> Answer<'a, T> {
        Answer::Later(Box::pin(answer))
    }

    /// The answer if it is there, or the wait for it.
    ///
    /// # Errors
    /// It is still to come.
    pub fn at_once(self) -> Result<T, Answer<'a, T>> {
        match self {
            Answer::Now(Some(answer)) => Ok(answer),
            other => Err(other),
        }
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match self.get_mut() {
            Answer::Now(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Answer::Later(answer) => answer.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for Answer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Answer::Now(_)) { "Now" } else { "Later" })
    }
}
