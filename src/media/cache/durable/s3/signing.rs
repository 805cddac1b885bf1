//! The digest of a body that is sent, by the node's own SHA-256: the SDK's takes twice the time where a CPU has no instructions for it.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut},
    error::BoxError,
};

use crate::ids::BodyDigest;

/// Hands the digest of a body that is in memory to the signature.
#[derive(Debug)]
pub(super) struct DigestBodies;

impl Intercept for DigestBodies {
    fn name(&self) -> &'static str {
        "DigestBodies"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Another attempt of the same request has it from the first; a body that is signed in pieces is none of ours.
        if config.load::<PayloadSigningOverride>().is_some() {
            return Ok(());
        }
        if let Some(bytes) = context.request().body().bytes().filter(|bytes| !bytes.is_empty()) {
            let digest = BodyDigest::of(bytes).to_string();
            config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(digest));
        }
        Ok(())
    }
}
