//! The one integration binary: whatever needs more than one room, or looks at the repository itself.

mod support;

mod layers;

mod tidy;

mod media;

mod failures;

mod guard;
