//! The reverse proxy in front of an origin: what passes, what is kept, what is refused.

mod caching;

mod origin_in_trouble;

mod passing;

mod restart;

mod together;

use std::net::SocketAddr;

use ringback::{config::Config, testing::origin::Origin};

use crate::support::{
    node::TestNode,
    wire::{Reply as Answer, Wire},
};

/// A node whose proxy stands in front of an origin that it may fetch nothing from otherwise.
struct Proxied {
    node: TestNode,
    address: SocketAddr,
}

impl Proxied {
    async fn start(origin: &Origin) -> Proxied {
        Proxied::start_with(origin, |_| {}).await
    }

    async fn start_with(origin: &Origin, adjust: impl FnOnce(&mut Config)) -> Proxied {
        Proxied::before(&origin.url(""), origin, adjust).await
    }

    /// In front of any origin. `other` is one that the node may fetch from, unless `adjust` says otherwise.
    async fn before(url: &str, other: &Origin, adjust: impl FnOnce(&mut Config)) -> Proxied {
        let node = TestNode::start_with(other, |config| {
            config.outbound.allow_origins = Vec::new();
            config.proxy.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.proxy.origin = Some(url.to_owned());
            adjust(config);
        })
        .await;
        let address = node.node.proxy_address.unwrap();
        Proxied { node, address }
    }

    async fn wire(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// One request on a connection of its own.
    async fn ask(&self, method: &str, path: &str, fields: &[&str]) -> Answer {
        self.wire().await.ask(method, path, fields).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }
}

/// A body as text.
fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

/// All values of a field.
fn values<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
}

/// So many callers, each on a connection of its own.
fn callers(proxy: &Proxied, count: usize, path: &'static str) -> Vec<tokio::task::JoinHandle<Answer>> {
    let address = proxy.address;
    let ask = |_| tokio::spawn(async move { Wire::connect(address).await.ask("GET", path, &[]).await });
    (0..count).map(ask).collect()
}
