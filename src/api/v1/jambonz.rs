//! `POST /v1/jambonz/speech`: this node as a speech vendor of jambonz (`spec/wire.md` §2).

use axum::{body::Body, extract::Request, response::Response};

use crate::{
    api::told::{self, Asking, Spoken, refusals},
    media::{Asker, http as media_http},
};

use super::{Failed, V1, body};

refusals! {
    Speak: told::ANY, told::BODY, told::PART, told::MAKING, told::SPEAKING;
}

/// Speaks the text that jambonz wants spoken.
#[utoipa::path(post, path = "/v1/jambonz/speech", tag = "Speech", params(Asking),
    request_body(content = media_http::JambonzRequest, content_type = "application/json"), responses(Spoken, Speak))]
pub(super) async fn speak(v1: V1, sent: Request) -> Result<Response, Failed> {
    let (head, sent) = sent.into_parts();
    let text = body::receive(Request::from_parts(head.clone(), sent), v1.body_timeout).await?;
    let (media, addresses) = (&v1.parts.media, &v1.parts.addresses);
    let asker = Asker { tenant: &v1.parts.tenant, subject: v1.subject };
    Ok(media_http::jambonz(media, asker, addresses, &head, &text).await?.map(Body::new))
}
