//! Where texts are split.

use proptest::prelude::*;

use super::support::{speaker, utterance};
use crate::media::speech::{
    Manner, Markup, Utterance, split,
    split::{FIRST_CHARS_MAX, PIECES_MAX, SENTENCE_CHARS_MAX},
};

/// The pieces of a text: `|` stands where it is split, with the white space that is left out there.
#[track_caller]
fn check(marked: &str) {
    let text = marked.replace('|', "");
    let pieces: Vec<&str> = marked.split('|').map(str::trim).collect();
    assert_eq!(split(&text), pieces, "{text:?}");
}

#[test]
fn sentences_end_where_people_end_them() {
    check("Please hold the line.| An agent will be with you.| Thank you!");
    check("What?!| Really?| Yes... no… maybe.| Well…| Then go.");
    check("\"Is it you?\" he asked.| \"It is.\"| She went.");
    check("He said: “Stop.”| Then he went (at last).| (It was late.)| Good.");
    check("„Wer da?“ fragte er.| »Ich.«| ¿Quién es?| ¡Yo!");
    check("One line\n|another line\n\n|and a third");
    check("Press 100.| Press 2000.| Done");
    check("no stop at all");
    check("lower case. after a stop is no new sentence. so we say.| But this is.");
    check("Москва.| Санкт-Петербург.| Да?");
}

#[test]
fn a_stop_may_be_something_else() {
    check("It costs 3.50 or 1,000.25 at 10.30 and 12:45.| Version 1.2.3 is out.");
    check("Visit www.example.com today.| Write to me@example.com.| Thanks.");
    check("Dr. Smith and Mr. Jones met Prof. Dr. Meier.| They left.");
    check("Use z.B. Wasser, d.h. H2O, u.a. Salz.| Gut.");
    check("Use z. B. Wasser.| Gut.");
    check("We open at 9 a.m. Monday.| The U.S. Army is here.");
    check("J. R. R. Tolkien wrote it.| It is long.");
    check("See No. 500 in Vol. 300.| I said no.| Yes.");
    check("Am 3. Mai und am 24. Dezember geschlossen.| Danke.");
    check("On Jan. 3 we met.| In Jan.| We meet again.");
    check("St. Mary's vs. St. John's.| Over.");
}

#[test]
fn scripts_without_spaces_are_split_at_their_own_stops() {
    check("您好。|请稍候！|谢谢？|再见");
    check("「はい。」|と言った。|終わり。");
    check("नमस्ते।| कृपया प्रतीक्षा करें।| धन्यवाद॥| ठीक");
    check("مرحبا؟| نعم۔| شكرا");
    check("Բարև։| Այո։");
}

#[test]
fn what_has_no_words_stays_with_what_has() {
    check("Yes! !!!");
    check("... Well then.| Go.");
    check("!!!");
    check("— Hello.| — Who is it?");
    assert_eq!(split(""), Vec::<&str>::new());
    assert_eq!(split(" \n "), Vec::<&str>::new());
}

#[test]
fn long_sentences_are_cut_at_clauses_and_the_first_early() {
    let clause = "this part of the sentence goes on for about sixty characters";
    let long =
        format!("{clause}, {clause}; {clause}, {clause}, {clause}, {clause}, {clause}, {clause}, {clause}, {clause}.");
    let pieces = split(&long);
    assert!(pieces[0].chars().count() <= FIRST_CHARS_MAX && pieces[0].ends_with(';'), "{pieces:?}");
    assert!(pieces[1].chars().count() <= SENTENCE_CHARS_MAX && pieces[1].ends_with(','), "{pieces:?}");
    assert_eq!(pieces.join(" "), long);

    // What is not the first and not too long stays whole.
    let middle = format!("{clause}, {clause}, {clause}, {clause}.");
    let text = format!("Hello. {}{}", &middle[..1].to_uppercase(), &middle[1..]);
    assert_eq!(split(&text).len(), 2);
    // No clause: between words; no words: anywhere.
    let words = "word ".repeat(200);
    assert!(split(&words).iter().all(|piece| piece.split(' ').all(|word| word == "word")));
    let characters = "字".repeat(1_000);
    assert_eq!(split(&characters).iter().map(|piece| piece.chars().count()).collect::<Vec<_>>(), [400, 400, 200]);
    // A number's comma is none.
    let numbers = "1,000,000".repeat(60);
    assert!(split(&numbers).iter().all(|piece| !piece.ends_with(',') || piece.chars().count() == SENTENCE_CHARS_MAX));
}

#[test]
fn there_are_never_too_many_pieces() {
    let text = "Hi! ".repeat(20_000);
    let pieces = split(&text);
    assert!(pieces.len() <= PIECES_MAX, "{}", pieces.len());
    assert!(pieces.iter().all(|piece| piece.chars().count() <= SENTENCE_CHARS_MAX));
    assert_eq!(pieces.join(" "), text.trim());
}

#[test]
fn ssml_is_not_split() {
    let manner = Manner { markup: Markup::Ssml, ..Manner::default() };
    let spoken = Utterance::new(speaker(), manner, "<speak>One. Two. Three.</speak>", 100).unwrap();
    assert_eq!(spoken.pieces(), std::slice::from_ref(&spoken));
    let plain = utterance("One thing. Two things. Three.").unwrap();
    let pieces = plain.pieces();
    assert_eq!(pieces.iter().map(Utterance::text).collect::<Vec<_>>(), ["One thing.", "Two things.", "Three."]);
    assert!(pieces.iter().all(|piece| piece.speaker() == plain.speaker() && piece.manner() == plain.manner()));
    // A constant sentence has one name wherever it stands, and by itself.
    assert_eq!(pieces[1].content_hash(), utterance("Two things.").unwrap().content_hash());
    assert_eq!(utterance("Two things.").unwrap().pieces()[0].content_hash(), pieces[1].content_hash());
}

fn bare(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_moves(
        text in "([a-zA-Zäß0-9]{1,9}|[.!?…。,;:—]{1,3}|[ \n\t\u{a0}]|[\"'“”»)(\\[\\]]|Dr\\.|z\\.B\\.|字|\\PC){0,300}",
    ) {
        let pieces = split(&text);
        prop_assert_eq!(bare(&pieces.concat()), bare(&text));
        let mut rest = text.as_str();
        for piece in &pieces {
            prop_assert!(!piece.is_empty() && piece.trim() == *piece, "{:?}", piece);
            let words = piece.chars().filter(|character| character.is_alphanumeric()).count();
            prop_assert!(words <= SENTENCE_CHARS_MAX, "{}", words);
            let at = rest.find(piece).unwrap();
            prop_assert!(rest[..at].trim().is_empty());
            rest = &rest[at + piece.len()..];
        }
        if pieces.len() > 1 {
            prop_assert!(pieces.iter().all(|piece| piece.contains(char::is_alphanumeric)), "{:?}", pieces);
        }
        prop_assert_eq!(pieces.is_empty(), text.trim().is_empty());
    }
}
