//! The locks of this room and of `concurrency`, which a program that tries all interleavings puts its own in place of.
//!
//! Std locks: they are held for a few reads and writes of memory, never across an await, and cost less than locks that can be waited for.

#[cfg(model)]
pub use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(model))]
pub use std::sync::{Mutex, MutexGuard};

/// Locks; what a thread that failed has left behind is whole, because nothing in between can fail.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
