//! The SDK's clients as the configuration wants them.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, environment::EnvironmentVariableRegionProvider, meta::region::RegionProviderChain,
    profile::ProfileFileRegionProvider,
};
use aws_sdk_s3::{
    Client,
    config::{
        self as sdk, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        SharedCredentialsProvider, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

use super::{
    config::{Checksums, Config},
    signing::DigestBodies,
};

/// The region where nothing says one. Other servers than AWS's take any in a signature.
const REGION_DEFAULT: &str = "us-east-1";

/// The first pause before a request is tried again, a random part of it; the next ones grow. Far below the SDK's second: callers wait.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest such pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Two clients that share connections and credentials: how long an answer may take depends on what is asked.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    /// For requests without a body: their answers begin soon.
    pub(super) asking: Client,
    /// For those that take an object with them.
    pub(super) writing: Client,
    /// Who knows their keys.
    pub(super) provider: Option<SharedCredentialsProvider>,
}

impl Clients {
    /// Reads the names that AWS has given to variables and files for what the configuration leaves out. Asks no server.
    pub(super) async fn new(config: &Config) -> Clients {
        // TLS is rustls with ring, as everywhere in the node; `http://` is spoken as well. No proxy is asked, whatever variables say.
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let region = RegionProviderChain::first_try(config.region.clone().map(Region::new))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::from_static(REGION_DEFAULT));
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http).region(region);
        if let Some(endpoint) = &config.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(credentials) = credentials(config) {
            loader = loader.credentials_provider(credentials);
        }
        let shared = loader.load().await;
        // After the shared ones, so that they win over those of the environment.
        let settings = sdk::Builder::from(&shared)
            .force_path_style(config.path_style)
            .interceptor(DigestBodies)
            .request_checksum_calculation(match config.checksums {
                Checksums::WhenSupported => RequestChecksumCalculation::WhenSupported,
                Checksums::WhenRequired => RequestChecksumCalculation::WhenRequired,
            })
            .response_checksum_validation(match config.checksums {
                Checksums::WhenSupported => ResponseChecksumValidation::WhenSupported,
                Checksums::WhenRequired => ResponseChecksumValidation::WhenRequired,
            })
            // Standard mode waits for a random part of a span that grows, and stops trying again where hardly anything succeeds.
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(config.attempts_max)
                    .with_initial_backoff(PAUSE_FIRST)
                    .with_max_backoff(PAUSE_MAX),
            )
            // A body that stalls is noticed by the timeout of each attempt, and of each piece that is read.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let client = |attempt: Duration| {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(config.connect_timeout)
                .operation_attempt_timeout(attempt)
                .build();
            Client::from_conf(settings.clone().timeout_config(timeouts).build())
        };
        Clients {
            asking: client(config.connect_timeout + config.read_timeout),
            writing: client(config.connect_timeout + config.write_timeout),
            provider: shared.credentials_provider(),
        }
    }
}

fn credentials(config: &Config) -> Option<Credentials> {
    let (access, secret) = (config.access_key.as_ref()?, config.secret_key.as_ref()?);
    let token = config.session_token.as_ref().map(|token| token.reveal().to_owned());
    Some(Credentials::new(access.reveal(), secret.reveal(), token, None, "configuration"))
}
