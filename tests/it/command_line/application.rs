//! An application of fifty documents, warmed by its first one.

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use ringback::{
    testing::{
        origin::{Body, Origin, Reply},
        signal::{Depth, Signal},
    },
    units::SampleRate,
};

use super::ringback;
use crate::support::node::TestNode;

/// Documents in all, and those of them that a caller can get to by links that are followed.
const DOCUMENTS: usize = 50;
const REACHABLE: usize = 45;

fn page(number: usize) -> String {
    format!("/ivr/{number}.xml")
}

fn audio(number: usize) -> String {
    format!("/audio/{number}.wav")
}

/// A menu of menus: each document plays its own prompt and one that all share, and leads to two others. Beside that
///
/// - the last leads to the first, and the tenth to itself;
/// - the fifth leads to one that is gone, the sixth to one that is broken, the seventh plays what is gone, the eighth leads elsewhere;
/// - the last five are there and play something, and nothing leads to them but a POST.
async fn application() -> Origin {
    let origin = Origin::start().await.unwrap();
    for number in 0..DOCUMENTS {
        let tone = Signal::noise(SampleRate::HZ_8000, number as u64, 0.5, Duration::from_millis(200));
        let reply = Reply::ok("audio/wav", Body::of(tone.wav(Depth::S16)));
        origin.set(&audio(number), reply.header("cache-control", "max-age=3600"));
        let children = [2 * number + 1, 2 * number + 2].into_iter().filter(|child| *child < REACHABLE);
        let link = |child: usize| match child % 3 {
            0 => format!("<Redirect method=\"GET\">{}</Redirect>", page(child)),
            1 => format!("<Gather action=\"{}\" method=\"get\"/>", origin.url(&page(child))),
            _ => format!("<Enqueue waitUrl=\"{child}.xml\">queue</Enqueue>"),
        };
        let more = match number {
            5 => "<Dial action=\"/ivr/gone.xml\"/>".to_owned(),
            6 => "<Record action=\"/ivr/broken.xml\"/>".to_owned(),
            7 => "<Play>/audio/gone.wav</Play>".to_owned(),
            8 => "<Redirect method=\"GET\">http://elsewhere.invalid/</Redirect>".to_owned(),
            9 => format!("<Gather action=\"{}\" method=\"POST\"/>", page(REACHABLE)),
            10 => format!("<Redirect method=\"GET\">{}</Redirect>", page(10)),
            44 => format!("<Redirect method=\"GET\">{}</Redirect>", page(0)),
            _ => String::new(),
        };
        let links: String = children.map(link).collect();
        let plays = format!("<Play>../audio/{number}.wav</Play><Play loop=\"2\">{}</Play>", audio(0));
        let document = format!("<?xml version=\"1.0\"?>\n<Response>{plays}<Pause/>{links}{more}</Response>");
        origin.set(&page(number), Reply::ok("application/xml", Body::of(document)));
    }
    origin.set("/ivr/broken.xml", Reply::ok("text/xml", Body::of("<Response><Play>/audio/0.wav</Response>")));
    origin
}

#[tokio::test]
async fn what_callers_can_get_to_is_warmed_and_nothing_else() {
    let origin = application().await;
    let node = TestNode::start(&origin).await;
    let (address, start) = (node.url(""), origin.url(&page(0)));
    let line = ["warm", "--node", &address, "--document", &start, "--retries", "0", "--json"];
    let told = ringback(&line).await;
    assert_eq!(told.code, Some(1), "there are dead links: {told:?}");
    let report = told.json();

    let items = report["items"].as_array().unwrap();
    let ended = |result: &str| -> BTreeSet<String> {
        let ended = items.iter().filter(|item| item["result"] == result);
        ended.map(|item| item["source"].as_str().unwrap().to_owned()).collect()
    };
    let reachable: BTreeSet<String> = (0..REACHABLE).map(|number| origin.url(&audio(number))).collect();
    assert_eq!(ended("filled"), reachable);
    assert_eq!(ended("failed"), [origin.url("/audio/gone.wav")].into());
    assert_eq!(items.len(), REACHABLE + 1, "each once");
    for number in 0..DOCUMENTS {
        let expected = usize::from(number < REACHABLE);
        assert_eq!(origin.count(&Method::GET, &audio(number)), expected, "{}", audio(number));
        assert_eq!(origin.count(&Method::GET, &page(number)), expected, "{}", page(number));
    }

    let documents = &report["documents"];
    assert_eq!((&documents["read"], &documents["cut_short"]), (&REACHABLE.into(), &false.into()));
    let dead: BTreeSet<(String, String)> = documents["dead"]
        .as_array()
        .unwrap()
        .iter()
        .map(|dead| (dead["link"].as_str().unwrap().to_owned(), dead["from"].as_str().unwrap().to_owned()))
        .collect();
    let url = |path: &str| origin.url(path);
    assert_eq!(dead, [(url("/ivr/gone.xml"), url(&page(5))), (url("/ivr/broken.xml"), url(&page(6)))].into());
    let way: Vec<String> = [0, 1, 4, 10, 21, 44].map(|number| url(&page(number))).to_vec();
    let mut loops: Vec<Vec<String>> = serde_json::from_value(documents["loops"].clone()).unwrap();
    loops.sort_by_key(Vec::len);
    assert_eq!(loops, [vec![url(&page(10))], way]);
    let left: Vec<&str> =
        documents["not_followed"].as_array().unwrap().iter().map(|left| left["link"].as_str().unwrap()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"http://elsewhere.invalid/") && left.contains(&page(REACHABLE).as_str()), "{left:?}");

    // Run again, it reads the documents, and asks for no audio.
    let again = ringback(&line).await.json();
    assert_eq!((&again["warm"], &again["filled"]), (&REACHABLE.into(), &0.into()));
    assert_eq!(origin.count(&Method::GET, &audio(3)), 1);
}
