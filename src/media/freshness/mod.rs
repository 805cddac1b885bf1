//! When a response may be kept, and when what was kept may be used: HTTP caching as a pure function of request, stored headers and now.
//!
//! The view is that of a shared cache. Nothing here reads a clock, knows a store or does IO. What the standards leave open is in
//! [`Rules`]; where a header cannot be read, the shortest time that it could mean counts.
//!
//! | file | what | source |
//! |---|---|---|
//! | `directives` | `Cache-Control` of both sides, `Pragma`, `CDN-Cache-Control` | RFC 9111 §5.2, §5.4; RFC 5861; RFC 8246; RFC 9213 |
//! | `storable` | whether a response may be kept | RFC 9111 §3, §3.5 |
//! | `lifetime` | age, freshness lifetime, heuristics | RFC 9111 §4.2, §5.1, §5.3 |
//! | `decision` | what may be answered from it, now | RFC 9111 §4.2.4, §5.2.1; RFC 5861 |
//! | `vary` | which requests a response answers | RFC 9111 §4.1 |
//! | `said` | what is written down of a response for later decisions | |
//! | `fields` | what is not kept, what a 304 changes | RFC 9110 §7.6.1; RFC 9111 §3.1, §3.2, §4.3.4 |

mod decision;

mod directives;

mod fields;

mod lifetime;

mod said;

mod storable;

mod vary;

#[cfg(test)]
mod tests;

pub use decision::Decision;
pub use directives::{CDN_CACHE_CONTROL, MaxStale, RequestDirectives, ResponseDirectives};
pub use fields::{remove_hop_by_hop, to_be_stored, update};
pub use lifetime::CLOCK_STEP_MAX;
pub use lifetime::{Basis, Freshness, Rules, Times};
pub use said::{CAME_FROM, Said};
pub use storable::{NotStorable, is_heuristically_cacheable, storable};
pub use vary::Selection;
