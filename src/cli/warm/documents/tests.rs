use std::time::Duration;

use crate::testing::origin::{Body, Gate, Origin, Reply};

use super::{
    read::{self, BYTES_MAX, Unreadable},
    *,
};

const MENU: &[u8] = include_bytes!("../../../../fixtures/documents/menu.xml");
const QUEUE: &[u8] = include_bytes!("../../../../fixtures/documents/queue.xml");

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn spoken(text: &str, options: &[(&'static str, &str)]) -> Spoken {
    let options = options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Spoken { text: text.to_owned(), options }
}

fn texts(urls: &[Url]) -> Vec<&str> {
    urls.iter().map(Url::as_str).collect()
}

#[test]
fn a_document_says_what_it_plays_says_and_leads_to() {
    let document = read::read(MENU, &url("http://a.example/ivr/menu.xml")).unwrap();
    assert_eq!(texts(&document.plays), ["http://a.example/audio/menu.wav"]);
    let menu = "For sales, press one. For support, press two.";
    assert_eq!(document.says, [spoken(menu, &[("voice", "en-gb"), ("language", "en-GB")])]);
    assert_eq!(texts(&document.links), ["http://a.example/ivr/chosen.xml", "http://a.example/ivr/menu.xml"]);
    assert_eq!(document.skipped, []);

    let document = read::read(QUEUE, &url("http://a.example/ivr/queue.xml")).unwrap();
    assert_eq!(texts(&document.plays), Vec::<&str>::new(), "digits and SIP are no audio");
    assert_eq!(document.says, [spoken("All of our agents are busy.", &[])]);
    let links = [
        "http://a.example/left",
        "https://media.example.com/wait.xml?music=1&place=2",
        "http://a.example/ivr/whisper.xml",
        "http://a.example/ivr/recorded.xml",
    ];
    assert_eq!(texts(&document.links), links);
    let skipped: Vec<&str> = document.skipped.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(skipped, ["/dialled", "With markup.", "sip:music@example.com"]);
}

#[test]
fn what_is_no_document_is_refused_by_name() {
    let base = url("http://a.example/");
    let check = |document: &[u8], expected: &str| {
        let refused = read::read(document, &base).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused} for {}", String::from_utf8_lossy(document));
    };
    check(b"<html><body/></html>", "the document is <html>, not <Response>");
    check(b"<response/>", "the document is <response>, not <Response>");
    check(b"<Response>", "the document is not well-formed XML: ");
    check(b"no markup", "the document is not well-formed XML: ");
    check(b"\xff\xfe", "the document is not UTF-8");
    let entities = b"<!DOCTYPE a [<!ENTITY b 'bbbb'>]><Response><Say>&b;</Say></Response>";
    check(entities, "the document is not well-formed XML: ");
    assert_eq!(read::read(b"", &base), Ok(Document::default()));
    assert_eq!(read::read(" \n\u{feff}".as_bytes(), &base).map_err(drop), Err(()), "a mark in the middle is a text");
    assert_eq!(read::read("\u{feff}<Response/>".as_bytes(), &base), Ok(Document::default()));
}

#[test]
fn every_limit_is_one() {
    let base = url("http://a.example/");
    let nested = |depth: usize| {
        let inside = depth - 1;
        format!("<Response>{}{}</Response>", "<a>".repeat(inside), "</a>".repeat(inside))
    };
    let depth_max = 24;
    assert!(read::read(nested(depth_max - 1).as_bytes(), &base).is_ok());
    assert_eq!(read::read(nested(depth_max + 1).as_bytes(), &base), Err(Unreadable::TooDeep));
    assert_eq!(read::read(nested(8_000).as_bytes(), &base), Err(Unreadable::TooDeep));
    let padded = |length: usize| format!("<Response>{}</Response>", " ".repeat(length - "<Response></Response>".len()));
    assert!(read::read(padded(BYTES_MAX).as_bytes(), &base).is_ok());
    assert_eq!(read::read(padded(BYTES_MAX + 1).as_bytes(), &base), Err(Unreadable::TooLong));
    let many = format!("<Response>{}</Response>", "<a/>".repeat(16_000));
    assert!(many.len() <= BYTES_MAX && read::read(many.as_bytes(), &base).is_ok());
}

#[test]
fn hosts_are_allowed_on_one_port_or_all() {
    let check = |allowed: &str, target: &str, admitted: bool| {
        let hosts = Hosts { origins: vec![url("http://a.example/").origin()], allowed: vec![allowed.parse().unwrap()] };
        assert_eq!(hosts.admit(&url(target)), admitted, "{allowed}: {target}");
    };
    check("b.example", "http://b.example/x", true);
    check("B.Example", "https://b.example:8443/x", true);
    check("b.example", "http://c.b.example/x", false);
    check("b.example:80", "http://b.example/x", true);
    check("b.example:80", "https://b.example/x", false);
    check("b.example:8080", "http://b.example:8080/x", true);
    check("b.example:8080", "http://b.example/x", false);
    check("b.example", "http://a.example/x", true);
    check("b.example", "http://a.example:81/x", false);
    check("b.example", "https://a.example/x", false);
    for wrong in ["", "b/c", "u@b", "b?c", "b:x"] {
        assert!(wrong.parse::<AllowedHost>().is_err(), "{wrong:?}");
    }
}

fn limits(depth: usize, documents: usize) -> Limits {
    Limits { depth, documents, allowed: Vec::new(), retries: 2 }
}

fn document(verbs: &str) -> Reply {
    Reply::ok("text/xml", Body::of(format!("<Response>{verbs}</Response>")))
}

async fn crawled(origin: &Origin, start: &str, limits: &Limits) -> Found {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let backoff = Backoff::beginning_with(Duration::from_millis(1));
    crawl(&[url(&origin.url(start))], limits, backoff).await.unwrap()
}

/// The paths of what is played, and the texts of what is said.
fn media(found: &Found) -> Vec<String> {
    let shown = |(_, medium): &(Url, Medium)| match medium {
        Medium::Played(url) => url.path().to_owned(),
        Medium::Said(spoken) => spoken.text.clone(),
    };
    found.media.iter().map(shown).collect()
}

#[tokio::test]
async fn everything_that_is_reachable_is_found_once() {
    let origin = Origin::start().await.unwrap();
    let menu = "<Say>Menu</Say><Play>/menu.wav</Play><Redirect method='GET'>/next</Redirect><Redirect>/menu</Redirect>";
    origin.set("/menu", document(menu));
    origin.set("/next", document("<Play>/next.wav</Play><Play>/menu.wav</Play><Gather action='/menu?x=1#y'/>"));
    origin.set("/menu?x=1", document("<Say>Menu</Say><Enqueue waitUrl='/hold.wav'/><Dial action='/text'/>"));
    origin.set("/hold.wav", Reply::ok("audio/wav", Body::of("RIFF")));
    origin.set("/text", Reply::ok("text/plain; charset=utf-8", Body::of(" Goodbye \n")));
    let found = crawled(&origin, "/menu#start", &limits(8, 100)).await;
    assert_eq!(media(&found), ["/menu.wav", "Menu", "/next.wav", "/hold.wav", "Goodbye"]);
    assert_eq!((found.read, found.dead.len(), found.cut_short), (5, 0, false), "{found:?}");
    assert_eq!(found.loops, [[origin.url("/menu")]]);
    assert_eq!(origin.seen().len(), 5, "each document is asked for once");
}

#[tokio::test]
async fn ways_back_are_told_and_ways_that_meet_are_not() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a", document("<Gather action='/b'/><Gather action='/c'/>"));
    origin.set("/b", document("<Redirect method='get'>/d</Redirect>"));
    origin.set("/c", document("<Redirect method='GET'>/d</Redirect>"));
    origin.set("/d", document("<Redirect method='GET'>/b</Redirect>"));
    let found = crawled(&origin, "/a", &limits(8, 100)).await;
    assert_eq!(found.loops, [[origin.url("/b"), origin.url("/d")]]);
}

#[tokio::test]
async fn dead_links_are_told_with_where_they_stand_and_why() {
    let origin = Origin::start().await.unwrap();
    let links = ["gone", "page", "long", "dropped", "away"].map(|name| format!("<Gather action='/{name}'/>"));
    origin.set("/a", document(&links.concat()));
    origin.set("/page", Reply::ok("text/html", Body::of("<html></html>")));
    origin.set("/long", Reply::ok("text/xml", Body::of(" ".repeat(BYTES_MAX + 1))));
    origin.set("/dropped", Reply::dropped());
    origin.set("/away", Reply::redirect("http://elsewhere.invalid/a"));
    let found = crawled(&origin, "/a", &limits(8, 100)).await;
    let dead: Vec<(&str, bool)> = found
        .dead
        .iter()
        .map(|dead| (dead.link.rsplit('/').next().unwrap(), dead.from == Some(origin.url("/a"))))
        .collect();
    assert_eq!(dead, [("gone", true), ("page", true), ("long", true), ("dropped", true), ("away", true)]);
    let said: Vec<&str> = found.dead.iter().map(|dead| dead.reason.as_str()).collect();
    assert!(said[0].contains("404") && said[1].contains("<html>") && said[2].contains("65536 bytes"), "{said:?}");
    assert!(said[4].contains("redirects to another host"), "{said:?}");
    assert_eq!(origin.count(&http::Method::GET, "/dropped"), 3, "what may pass is tried again");
    assert_eq!(origin.count(&http::Method::GET, "/gone"), 1, "what is final is not");

    let nowhere = crawled(&origin, "/nowhere", &limits(8, 100)).await;
    assert_eq!((nowhere.read, nowhere.dead[0].from.as_deref()), (0, None));
}

#[tokio::test]
async fn what_takes_posts_alone_is_dead_only_for_a_link_that_says_get() {
    let origin = Origin::start().await.unwrap();
    let by_post = || Reply::status(405, "text/plain", Body::of("by POST"));
    origin.set("/a", document("<Gather action='/silent'/><Gather action='/said' method='GET'/>"));
    origin.set("/silent", by_post());
    origin.set("/said", by_post());
    let found = crawled(&origin, "/a", &limits(8, 100)).await;
    let links = |of: &[NotRead]| of.iter().map(|one| one.link.clone()).collect::<Vec<_>>();
    assert_eq!(links(&found.dead), [origin.url("/said")]);
    assert_eq!(links(&found.not_followed), [origin.url("/silent")]);
}

#[tokio::test]
async fn what_an_application_says_of_when_is_obeyed() {
    let origin = Origin::start().await.unwrap();
    let busy = Reply::status(503, "text/plain", Body::of("busy")).header("retry-after", "0");
    origin.set_sequence("/a", [busy.clone(), busy, document("<Say>There</Say>")]);
    let found = crawled(&origin, "/a", &limits(8, 100)).await;
    assert_eq!(media(&found), ["There"]);
}

#[tokio::test]
async fn other_hosts_are_left_alone_unless_they_are_allowed() {
    let (origin, other) = (Origin::start().await.unwrap(), Origin::start().await.unwrap());
    let link = format!("<Gather action='{}'/><Play>{}</Play>", other.url("/b"), other.url("/b.wav"));
    origin.set("/a", document(&link));
    other.set("/b", document("<Say>Other</Say>"));
    let found = crawled(&origin, "/a", &limits(8, 100)).await;
    assert_eq!(media(&found), ["/b.wav"], "audio may be anywhere");
    assert_eq!((found.not_followed[0].link.as_str(), found.cut_short), (other.url("/b").as_str(), false));
    assert_eq!(other.connections(), 0, "nobody even knocked");
    let allowed = Limits { allowed: vec![other.address().to_string().parse().unwrap()], ..limits(8, 100) };
    assert_eq!(media(&crawled(&origin, "/a", &allowed).await), ["/b.wav", "Other"]);
}

#[tokio::test]
async fn depth_and_number_are_bounded_and_the_bound_is_told() {
    let origin = Origin::start().await.unwrap();
    for number in 0..10 {
        let next = number + 1;
        origin.set(&format!("/{number}"), document(&format!("<Say>{number}</Say><Gather action='/{next}'/>")));
    }
    let found = crawled(&origin, "/0", &limits(3, 100)).await;
    assert_eq!((media(&found), found.cut_short), (["0", "1", "2", "3"].map(str::to_owned).to_vec(), true));
    assert!(found.not_followed[0].reason.contains("3 links away"), "{found:?}");
    let found = crawled(&origin, "/0", &limits(64, 2)).await;
    assert_eq!((found.read, found.cut_short), (2, true));
    assert_eq!(crawled(&origin, "/9", &limits(0, 1)).await.not_followed[0].link, origin.url("/10"));
}

/// A tree of documents that all wait: no more of them are asked for at once than may be.
#[tokio::test]
async fn an_application_is_not_overrun() {
    let origin = Origin::start().await.unwrap();
    let links: String = (0..20).map(|number| format!("<Gather action='/{number}'/>")).collect();
    origin.set("/a", document(&links));
    let gate = Gate::closed();
    for number in 0..20 {
        origin.set(&format!("/{number}"), document("").hold_headers(&gate));
    }
    let far = limits(8, 100);
    let crawling = crawled(&origin, "/a", &far);
    let watching = async {
        origin.wait_for_requests(1 + AT_ONCE).await;
        assert_eq!(origin.seen().len(), 1 + AT_ONCE);
        gate.open();
    };
    let (found, ()) = tokio::join!(crawling, watching);
    assert_eq!(found.read, 21);
}

proptest::proptest! {
    /// A document that was cut, and had bytes written over.
    #[test]
    fn damaged_documents_are_read_or_refused(
        which in 0..2_usize,
        cut in 0..2_000_usize,
        damage in proptest::collection::vec((0..2_000_usize, proptest::prelude::any::<u8>()), 0..8),
    ) {
        let mut bytes = [MENU, QUEUE][which].to_vec();
        bytes.truncate(cut);
        for (place, byte) in damage {
            if let Some(at) = bytes.get_mut(place) {
                *at = byte;
            }
        }
        read::fuzz(&bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(inside in "[<>/&;\"'= a-zA-Z!?\\[\\]-]{0,300}") {
        read::fuzz(inside.as_bytes());
        read::fuzz(format!("<Response>{inside}</Response>").as_bytes());
        read::fuzz(format!("<Response><Say>{inside}</Say><Play>{inside}</Play><Redirect>{inside}</Redirect></Response>").as_bytes());
    }
}
