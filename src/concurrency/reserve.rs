//! What is kept free for those who must always be let in: ending a call, and looking after the node.
//!
//! It is counted on this node alone, beside all limits, so that it works whoever is away and whatever is full.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    ids::AccountSid,
    lease::{Mutex, lock},
};

use super::Place;

/// Distinct calls that are being ended for one account, or wait for it. Beyond it they are carried out without waiting: more than an account has calls.
const HANG_UPS_WAITING_MAX: usize = 100_000;

/// Places of the reserve that one account at the top has at once, with all that is below it.
const ADMINS_OF_OWNER_MAX: usize = 2;

/// Names a call.
pub type CallNumber = u128;

/// The reserve of one node. Cheap to clone.
#[derive(Clone)]
pub struct Reserve {
    inner: Arc<Inner>,
}

struct Inner {
    hang_ups_max: usize,
    accounts: Mutex<HashMap<AccountSid, Account>>,
    admin: Arc<Semaphore>,
    /// How many of each account at the top have such a place.
    admins: Mutex<HashMap<AccountSid, usize>>,
}

/// Hang-ups of one account. Gone with the last of them.
struct Account {
    places: Arc<Semaphore>,
    calls: HashMap<CallNumber, watch::Receiver<bool>>,
}

/// How a hang-up is to be carried out.
#[derive(Debug)]
pub enum HangUp {
    /// By whoever asked; what comes of it is to be told with [`HangUpPlace::done`].
    First(HangUpPlace),
    /// It was carried out while this one waited: the call's record says how it ended.
    Again,
}

/// The right to end one call. Dropped without being [done](HangUpPlace::done), the next who asked for the same tries.
pub struct HangUpPlace {
    inner: Weak<Inner>,
    account: AccountSid,
    call: CallNumber,
    done: watch::Sender<bool>,
    place: Option<OwnedSemaphorePermit>,
}

/// How a request of operators was let in.
#[derive(Debug)]
pub enum Admitted {
    /// As any other.
    Counted(Place),
    /// By the reserve.
    Reserved(AdminPlace),
}

/// A place beside all limits.
#[derive(Debug)]
pub struct AdminPlace {
    reserve: Reserve,
    owner: AccountSid,
    _permit: OwnedSemaphorePermit,
}

impl Reserve {
    pub(super) fn new(hang_ups_max: u32, admin_max: u32) -> Reserve {
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let inner = Inner {
            hang_ups_max: size(hang_ups_max),
            accounts: Mutex::default(),
            admin: Arc::new(Semaphore::new(size(admin_max))),
            admins: Mutex::default(),
        };
        Reserve { inner: Arc::new(inner) }
    }

    /// Lets a request end a call. Never refuses: so many are carried out at once for one account, the others wait in order, and those for the same call are one.
    /// The call must exist and be the account's, which is what bounds those who wait. Dropped, it leaves at once.
    pub async fn hang_up(&self, account: AccountSid, call: CallNumber) -> HangUp {
        loop {
            let (mut place, places) = match self.join(account, call) {
                Ok(joined) => joined,
                Err(mut other) => {
                    // An end of the other side without a word is that nobody has done it.
                    if other.wait_for(|is_done| *is_done).await.is_ok() {
                        return HangUp::Again;
                    }
                    continue;
                }
            };
            if let Some(places) = places {
                place.place = places.acquire_owned().await.ok();
            }
            return HangUp::First(place);
        }
    }

    /// The right to end a call, and what to wait for; or whoever is at it already.
    fn join(
        &self,
        account: AccountSid,
        call: CallNumber,
    ) -> Result<(HangUpPlace, Option<Arc<Semaphore>>), watch::Receiver<bool>> {
        let mut accounts = lock(&self.inner.accounts);
        let of_account = accounts.entry(account).or_insert_with(|| Account {
            places: Arc::new(Semaphore::new(self.inner.hang_ups_max)),
            calls: HashMap::new(),
        });
        if let Some(other) = of_account.calls.get(&call) {
            return Err(other.clone());
        }
        let (done, heard) = watch::channel(false);
        let waits = of_account.calls.len() < HANG_UPS_WAITING_MAX;
        of_account.calls.insert(call, heard);
        let places = waits.then(|| of_account.places.clone());
        Ok((HangUpPlace { inner: Arc::downgrade(&self.inner), account, call, done, place: None }, places))
    }

    /// Lets in a request by which an account looks after what it has on the node; `None` where so many are at it already, in all or of this account at the top: none takes all.
    pub fn admin(&self, owner: AccountSid) -> Option<AdminPlace> {
        let permit = self.inner.admin.clone().try_acquire_owned().ok()?;
        let mut admins = lock(&self.inner.admins);
        let of_owner = admins.entry(owner).or_default();
        if ADMINS_OF_OWNER_MAX <= *of_owner {
            return None;
        }
        *of_owner += 1;
        Some(AdminPlace { reserve: self.clone(), owner, _permit: permit })
    }
}

impl Drop for AdminPlace {
    fn drop(&mut self) {
        let mut admins = lock(&self.reserve.inner.admins);
        if let Some(of_owner) = admins.get_mut(&self.owner) {
            *of_owner = of_owner.saturating_sub(1);
            if *of_owner == 0 {
                admins.remove(&self.owner);
            }
        }
    }
}

impl HangUpPlace {
    /// The call has ended: those who asked for the same have their answer.
    pub fn done(self) {
        self.done.send_replace(true);
    }
}

impl Drop for HangUpPlace {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut accounts = lock(&inner.accounts);
        if let Some(of_account) = accounts.get_mut(&self.account) {
            of_account.calls.remove(&self.call);
            if of_account.calls.is_empty() {
                accounts.remove(&self.account);
            }
        }
    }
}

impl fmt::Debug for HangUpPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HangUpPlace")
            .field("account", &self.account)
            .field("waited", &self.place)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("admin", &self.inner.admin.available_permits()).finish_non_exhaustive()
    }
}
