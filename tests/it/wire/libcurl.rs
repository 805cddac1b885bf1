//! Requests as libcurl writes them for these clients, taken down from libcurl 7.88 with the options that the clients set.

use super::{LINE_MAX, Stand, transcript::Transcript};
use crate::support::wire::{Reply, Wire};

/// What a client tells libcurl.
pub(super) struct Curl {
    pub(super) user_agent: &'static str,
    /// Whole lines behind the usual ones.
    pub(super) fields: &'static [&'static str],
    pub(super) redirects_max: usize,
    /// The fields of answers that the client reads, in lower case: the transcript shows these.
    pub(super) reads: &'static [&'static str],
}

impl Curl {
    /// One transfer, over a connection of its own, as all of them do it.
    pub(super) async fn perform(
        &self,
        stand: &Stand,
        method: &str,
        url: &str,
        fields: &[String],
        transcript: &mut Transcript,
    ) -> Reply {
        let mut url = url.to_owned();
        for _ in 0..=self.redirects_max {
            let (host, path) = split(&url);
            let mut request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\nAccept: */*\r\n",
                self.user_agent
            );
            for line in self.fields.iter().copied().chain(fields.iter().map(String::as_str)) {
                request += line;
                request += "\r\n";
            }
            request += "\r\n";
            let mut wire = Wire::connect(host.parse().unwrap()).await;
            wire.write(request.as_bytes()).await;
            let reply = wire.answer(method).await;
            transcript.exchange(stand, &request, &reply, self.reads);
            let longest = reply.fields.iter().map(|(name, value)| name.len() + value.len() + 4).max();
            assert!(longest < Some(LINE_MAX), "{}", reply.shown());
            if !(300..400).contains(&reply.status) || reply.field("location").is_empty() {
                return reply;
            }
            url = match reply.field("location") {
                path if path.starts_with('/') => format!("http://{host}{path}"),
                whole => whole.to_owned(),
            };
        }
        panic!("{url}: too many redirects");
    }
}

/// Host with port, and what is sent as the path: the fragment stays here.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    (host, path.split('#').next().unwrap())
}
