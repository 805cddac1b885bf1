//! The durable tier: whole artifacts as served, originals and records in a store that outlives this node and that others share
//! (`spec/media.md` §6).

mod store;

pub use store::{
    Got, Listed, NotAnObjectKey, ObjectBytes, ObjectKey, ObjectMeta, ObjectStore, Replace, StoreError, Upload, Written,
};
