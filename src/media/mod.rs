//! The media layer: a URL in, telephony audio out, cached under a persistent address.

pub mod format;

pub mod address;

pub mod origin;

pub mod audio;

pub mod cache;
