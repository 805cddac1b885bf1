//! Signed requests to servers of applications: a form by POST, or the same in the query of a GET (`spec/wire.md` §5).

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ring::hmac;
use url::Url;

use crate::secret::Secret;

use super::{
    cdn_loop,
    client::{Client, Target},
    error::OutboundError,
};

/// Time for one request, its connection and its answer's head included.
const TIMEOUT: Duration = Duration::from_secs(15);
const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
/// The same for each try of one and the same thing.
const IDEMPOTENCY: HeaderName = HeaderName::from_static("i-twilio-idempotency-token");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");

/// What a server is told.
pub struct Callback {
    /// Who: http or https.
    pub url: Url,
    /// How: as a form in the body, or in the query of the address.
    pub is_post: bool,
    /// What.
    pub form: Vec<(&'static str, String)>,
    /// Whose auth token signs it.
    pub token: Secret,
    /// Names what is told, so that whoever hears it twice knows.
    pub id: String,
}

/// Neither address nor form: both may hold secrets.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("host", &self.url.host_str()).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Client {
    /// Tells a server something, once. No redirect is followed, and of the answer nothing is read but its status.
    ///
    /// # Errors
    /// As [`OutboundError`] names them. Any status is an answer, not an error.
    pub async fn call(&self, callback: &Callback) -> Result<StatusCode, OutboundError> {
        let Callback { url, is_post, form, token, id } = callback;
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut url = url.clone();
        let params: &[(&str, String)] = if *is_post { form } else { &[] };
        if !is_post {
            let query = url.query().filter(|query| !query.is_empty()).map(|query| format!("{query}&{encoded}"));
            url.set_query(Some(query.as_ref().unwrap_or(&encoded)));
        }
        let target = Target::of(&url)?;
        let mut headers = HeaderMap::new();
        cdn_loop::append(&mut headers, self.loop_id());
        let mut add = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        add(SIGNATURE, &signature(token, url.as_str(), params));
        add(IDEMPOTENCY, id);
        let request = if *is_post {
            self.http().post(url).header(header::CONTENT_TYPE, FORM).body(encoded)
        } else {
            self.http().get(url)
        };
        Ok(self.send(&target, request.headers(headers), TIMEOUT).await?.status())
    }
}

/// What `X-Twilio-Signature` says of a request: `params` are those of a form in its body.
pub fn signature(token: &Secret, url: &str, params: &[(&str, String)]) -> String {
    let mut sorted: Vec<(&str, &str)> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.reveal().as_bytes());
    let mut mac = hmac::Context::with_key(&key);
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_examples() {
        let check = |caller: &str, expected: &str| {
            let params = [
                ("From", caller.to_owned()),
                ("CallSid", "CA1234567890ABCDE".to_owned()),
                ("Digits", "1234".to_owned()),
                ("To", "+18005551212".to_owned()),
                ("Caller", caller.to_owned()),
            ];
            let token = Secret::new("12345".to_owned());
            assert_eq!(signature(&token, "https://mycompany.com/myapp.php?foo=1&bar=2", &params), expected);
        };
        check("+12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=");
        check("+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }
}
