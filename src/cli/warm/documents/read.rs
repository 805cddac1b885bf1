//! What an instruction document plays, says and leads to. Pure.
//!
//! Documents come from an application: somebody else's program, whatever it sends. Nothing here panics, and everything has a limit.
#![deny(clippy::indexing_slicing, clippy::as_conversions)]

use roxmltree::{Node, ParsingOptions};
use url::Url;

/// Longest document in bytes: what platforms take (64 kB, Twilio's error 11750).
pub(super) const BYTES_MAX: usize = 64 << 10;
/// Elements, texts and comments of a document.
const NODES_MAX: u32 = 16_384;
/// Elements within elements. Verbs nest three deep, speech markup some more.
const DEPTH_MAX: usize = 24;
/// What a verb's method is where following it has no effect at the application.
const GET: &str = "GET";

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Unreadable {
    /// Longer than is read.
    #[error("the document is longer than {BYTES_MAX} bytes")]
    TooLong,
    /// Bytes that are no text.
    #[error("the document is not UTF-8")]
    NotText,
    /// Not well-formed, or with a DTD.
    #[error("the document is not well-formed XML: {0}")]
    NotXml(String),
    /// Elements within elements, too many.
    #[error("elements are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// Other XML.
    #[error("the document is <{0}>, not <Response>")]
    NotAResponse(String),
}

/// A text to be spoken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::cli::warm) struct Spoken {
    /// The text.
    pub(in crate::cli::warm) text: String,
    /// Options of speech that go with it: `voice`, `language`.
    pub(in crate::cli::warm) options: Vec<(&'static str, String)>,
}

/// What a document says, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// Audio that it plays.
    pub(super) plays: Vec<Url>,
    /// Texts that it has spoken.
    pub(super) says: Vec<Spoken>,
    /// Documents that it leads to by GET.
    pub(super) links: Vec<Url>,
    /// Those of them of which it does not say by which method: a platform asks by POST.
    pub(super) without_method: Vec<Url>,
    /// What is not followed, and why.
    pub(super) skipped: Vec<(String, &'static str)>,
}

/// Reads a document that came from `base`.
///
/// # Errors
/// Why it is none.
pub(super) fn read(bytes: &[u8], base: &Url) -> Result<Document, Unreadable> {
    if BYTES_MAX < bytes.len() {
        return Err(Unreadable::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotText)?;
    let mut document = Document::default();
    // No answer at all ends a call, as an empty one does.
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Ok(document);
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let xml = roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| Unreadable::NotXml(error.to_string()))?;
    let root = xml.root_element();
    if root.tag_name().name() != "Response" {
        const SHOWN_CHARS_MAX: usize = 40;
        return Err(Unreadable::NotAResponse(root.tag_name().name().chars().take(SHOWN_CHARS_MAX).collect()));
    }
    for element in root.descendants().filter(Node::is_element) {
        // Its ancestors were here before it: no more of them are counted than there may be.
        if DEPTH_MAX < element.ancestors().take(DEPTH_MAX + 2).count() {
            return Err(Unreadable::TooDeep);
        }
        document.take(element, base);
    }
    Ok(document)
}

impl Document {
    /// Takes in what one verb says. Names are case-sensitive; verbs that are not known say nothing here.
    fn take(&mut self, verb: Node<'_, '_>, base: &Url) {
        match verb.tag_name().name() {
            "Play" => {
                let text = text_of(verb);
                // Without an address it plays digits.
                if !text.is_empty()
                    && let Some(url) = self.resolve(&text, base)
                {
                    self.plays.push(url);
                }
            }
            "Say" => self.say(verb),
            "Redirect" => self.link(&text_of(verb), verb.attribute("method"), base),
            "Gather" | "Record" | "Dial" => self.attribute(verb, "action", "method", base),
            "Enqueue" => {
                self.attribute(verb, "action", "method", base);
                self.attribute(verb, "waitUrl", "waitUrlMethod", base);
            }
            "Conference" => self.attribute(verb, "waitUrl", "waitMethod", base),
            "Number" | "Client" | "Sip" | "Queue" => self.attribute(verb, "url", "method", base),
            _ => {}
        }
    }

    fn say(&mut self, verb: Node<'_, '_>) {
        let text = text_of(verb);
        if verb.children().any(|child| child.is_element()) {
            self.skipped.push((shortened(&text), "speech markup is not warmed"));
        } else if !text.is_empty() {
            let option = |name: &'static str| Some((name, verb.attribute(name)?.to_owned()));
            let options = ["voice", "language"].into_iter().filter_map(option).collect();
            self.says.push(Spoken { text, options });
        }
    }

    fn attribute(&mut self, verb: Node<'_, '_>, name: &str, method: &str, base: &Url) {
        if let Some(target) = verb.attribute(name) {
            self.link(target.trim(), verb.attribute(method), base);
        }
    }

    /// Takes in where a verb leads, unless it says that it gets there by another method than GET. What an application answers to a POST
    /// depends on what is posted.
    fn link(&mut self, target: &str, method: Option<&str>, base: &Url) {
        if target.is_empty() {
            return;
        }
        if method.is_some_and(|method| !method.trim().eq_ignore_ascii_case(GET)) {
            self.skipped.push((shortened(target), "it is asked for by another method than GET"));
            return;
        }
        if let Some(mut url) = self.resolve(target, base) {
            url.set_fragment(None);
            if method.is_none() {
                self.without_method.push(url.clone());
            }
            self.links.push(url);
        }
    }

    fn resolve(&mut self, target: &str, base: &Url) -> Option<Url> {
        match base.join(target) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(url),
            Ok(_) => {
                self.skipped.push((shortened(target), "neither http nor https"));
                None
            }
            Err(_) => {
                self.skipped.push((shortened(target), "not a URL"));
                None
            }
        }
    }
}

/// The text in an element, all of it, without the space around.
fn text_of(element: Node<'_, '_>) -> String {
    let texts = element.descendants().filter(|node| node.is_text()).filter_map(|node| node.text());
    texts.collect::<String>().trim().to_owned()
}

fn shortened(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 200;
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// Any bytes as a document. For the fuzzer: what comes out keeps the promises that the crawl relies on.
///
/// # Panics
/// One of them is broken.
pub(super) fn fuzz(data: &[u8]) {
    let Ok(base) = Url::parse("http://a.example/app/start.xml?x=1") else { return };
    let Ok(document) = read(data, &base) else { return };
    assert!(data.len() <= BYTES_MAX, "a long document was read");
    for url in document.plays.iter().chain(&document.links) {
        assert!(matches!(url.scheme(), "http" | "https"), "{url} is not fetched");
    }
    assert!(document.links.iter().all(|url| url.fragment().is_none()), "two names for one document");
    assert!(document.says.iter().all(|spoken| !spoken.text.trim().is_empty()), "nothing is spoken");
}
