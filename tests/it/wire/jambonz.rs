//! jambonz' `play`: FreeSWITCH does it, with an address whose query was rewritten.

use super::{
    FORMS, How, Stand,
    decoders::{Heard, Is, heard},
    freeswitch,
    httapi::Httapi,
    http_cache::HttpCache,
    transcript::Transcript,
};

/// Dots of the query are escaped, unless the whole ends in `.mp3` or `.wav`. A second question mark and all behind it is dropped.
fn rewritten(url: &str) -> String {
    match url.split_once('?') {
        Some((path, query)) if ![".mp3", ".wav"].contains(&&url[url.len() - 4..]) => {
            format!("{path}?{}", query.split('?').next().unwrap().replace('.', "%2E"))
        }
        _ => url.to_owned(),
    }
}

#[tokio::test]
async fn it_plays_every_address_whatever_the_application_appends() {
    let mut transcript = Transcript::new("jambonz");
    for form in FORMS {
        for query in ["", "from=sip:1000%40pbx.example&version=1.5", "prompt=welcome.wav"] {
            let stand = Stand::start().await;
            let url = stand.url(form, "wav").await;
            let url = match (query, url.contains('?')) {
                ("", _) => url,
                (query, false) => format!("{url}?{query}"),
                (query, true) => format!("{url}&{query}"),
            };
            let url = rewritten(&url);
            transcript.title(&format!("{} with {query:?}: by mod_httapi", form.name));
            let played = Httapi::default().play(&stand, &url, &[], &mut transcript).await.unwrap();
            assert_eq!(played.how, How::Fetched);
            assert_eq!(heard(played.extension.as_deref().and_then(freeswitch::decoder), Is::Wav(8_000)), Heard::Audio);
            transcript.title(&format!("{} with {query:?}: by mod_http_cache", form.name));
            let cached = HttpCache::default().play(&stand, &url, &mut transcript).await.unwrap();
            assert_eq!(heard(cached.extension.as_deref().and_then(freeswitch::decoder), Is::Wav(8_000)), Heard::Audio);
            assert!(cached.body == played.body);
            stand.stop().await;
        }
    }
    transcript.check();
}

/// It compares the type as a whole string: `audio/wav` is WAV at 8 kHz, and parameters would make it something else.
#[tokio::test]
async fn the_type_of_wav_is_the_one_string_that_it_knows() {
    let stand = Stand::start().await;
    for form in FORMS {
        let answer = stand.node.get(&(form.path)(&stand, "wav").await).await;
        assert_eq!(answer.header("content-type"), "audio/wav", "{}", form.name);
    }
    stand.stop().await;
}
