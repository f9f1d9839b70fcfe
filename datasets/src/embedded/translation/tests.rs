use super::*;
use crate::sha256;

fn parts() -> [&'static [Pair]; 3] {
    let set = translation();
    [&set.train, &set.validation, &set.test]
}

fn every_pair() -> impl Iterator<Item = &'static Pair> {
    parts().into_iter().flatten()
}

/// The words of an English sentence as they stand within one.
fn words(pair: &Pair) -> Vec<String> {
    let text = pair.english.trim_end_matches(['.', '?']);
    let lower = |word: &str| if word == "I" { word.to_owned() } else { word.to_lowercase() };
    text.split(' ').map(lower).collect()
}

#[test]
fn the_parts_have_their_sizes_and_half_of_what_judges_is_novel() {
    assert_eq!(parts().map(<[Pair]>::len), [6000, 300, 500]);
    let novel = parts().map(|part| part.iter().filter(|pair| pair.novel).count());
    assert_eq!(novel, [0, 150, 250]);
}

#[test]
fn every_sentence_has_one_translation_and_stands_in_one_part() {
    let english: HashSet<_> = every_pair().map(|pair| &pair.english).collect();
    let chinese: HashSet<_> = every_pair().map(|pair| &pair.chinese).collect();
    assert_eq!([english.len(), chinese.len()], [6800, 6800]);
}

#[test]
fn training_has_every_word_of_the_other_parts_ten_times() {
    let set = translation();
    let counts = word_counts(&set.train);
    for word in set.validation.iter().chain(&set.test).flat_map(Pair::words) {
        assert!(counts.get(word).is_some_and(|n| *n >= 10), "{word}: {:?}", counts.get(word));
    }
}

/// Where `form`, of one or more words, begins and ends among `words`.
fn places(words: &[String], form: &str) -> Vec<(usize, usize)> {
    let form: Vec<_> = form.split(' ').collect();
    let starts = words.windows(form.len()).enumerate().filter(|(_, window)| *window == form);
    let ends = starts.map(|(start, _)| (start, start + form.len()));
    // *Cup of tea* is not *cup*.
    ends.filter(|(_, end)| words.get(*end).is_none_or(|next| next != "of")).collect()
}

/// The forms of a verb or an adjective, and those of a noun.
fn forms<'a>(vocabulary: &'a Words, word: &str, noun: &str) -> (Vec<&'a str>, [&'a str; 3]) {
    let verbs = vocabulary.verbs.values().flatten().map(|verb| &verb.forms[..4]);
    let adjectives = vocabulary.adjectives.iter().map(|adjective| &adjective.forms[..2]);
    let found = verbs.chain(adjectives).find(|forms| forms[0] == word).unwrap();
    let noun = vocabulary.noun(noun);
    let of_word = found.iter().map(String::as_str).filter(|form| !form.is_empty());
    (of_word.collect(), [&noun.singular, &noun.plural, &noun.bare])
}

/// Looks for the words themselves, whatever the pairs claim: a verb at most two
/// words before its object, an adjective before its noun or after it with a
/// copula between.
#[test]
fn held_out_words_never_meet_in_training() {
    let set = translation();
    let vocabulary = Words::read();
    assert!(set.held_out.len() > 40, "{}", set.held_out.len());
    let copula = ["is", "are", "was", "were", "not", "very", "too", "much"];
    let sentences: Vec<_> = set.train.iter().map(words).collect();
    for (word, noun) in &set.held_out {
        let is_adjective = vocabulary.adjectives.iter().any(|adjective| adjective.forms[0] == *word);
        let (word_forms, noun_forms) = forms(&vocabulary, word, noun);
        for words in &sentences {
            let found =
                |forms: &[&str]| forms.iter().flat_map(|form| places(words, form)).collect::<Vec<_>>();
            let nouns = found(&noun_forms);
            for (start, end) in found(&word_forms) {
                for (noun_start, noun_end) in &nouns {
                    let before = *noun_start >= end && noun_start - end <= if is_adjective { 0 } else { 2 };
                    let after = is_adjective
                        && *noun_end <= start
                        && words[*noun_end..start].iter().all(|word| copula.contains(&word.as_str()));
                    assert!(!before && !after, "{word} {noun}: {words:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_novel_has_both_words_of_a_held_out_combination() {
    let set = translation();
    let vocabulary = Words::read();
    for pair in set.validation.iter().chain(&set.test).filter(|pair| pair.novel) {
        let words = words(pair);
        let has = |forms: &[&str]| forms.iter().any(|form| !places(&words, form).is_empty());
        let has_both = set.held_out.iter().any(|(word, noun)| {
            let (word, noun) = forms(&vocabulary, word, noun);
            has(&word) && has(&noun)
        });
        assert!(has_both, "{pair:?}");
    }
}

#[test]
fn the_set_is_the_same_everywhere() {
    let set = translation();
    let text: String = [&set.train, &set.validation, &set.test].map(|part| tsv(part)).concat();
    assert_eq!(
        sha256::of_bytes(text.as_bytes()),
        "0d380b4e707bab9185f8064e7bec86d99b7a764357b1a5bcc637a3e5b0357615"
    );
    assert_eq!(*set, Translation::drawn_from(SEED));
    assert_ne!(set.test, Translation::drawn_from(SEED + 1).test);
}

/// One pair, read by a person, for each construction of the grammar. They stand
/// in a file for the reason that is given in `words.toml`.
#[test]
fn each_construction_is_translated_as_in_the_gold_pairs() {
    let translations: HashMap<_, _> =
        every_pair().map(|pair| (pair.english.as_str(), pair.chinese.as_str())).collect();
    let gold = include_str!("gold.tsv").lines().filter(|line| !line.starts_with('#'));
    let gold: Vec<_> = gold.map(|line| line.split_once('\t').unwrap()).collect();
    assert!(gold.len() >= 12);
    for (english, chinese) in gold {
        assert_eq!(translations.get(english), Some(&chinese), "{english}");
    }
}

#[test]
fn english_is_of_3_to_14_words_with_a_capital_and_a_mark() {
    for Pair { english, .. } in every_pair() {
        assert!((3..=14).contains(&english.split(' ').count()), "{english}");
        assert!(english.starts_with(|first: char| first.is_ascii_uppercase()), "{english}");
        assert!(english.ends_with(['.', '?']), "{english}");
        assert!(!english.contains("  ") && !english.contains(['{', '}']), "{english}");
    }
}

#[test]
fn chinese_has_no_spaces_and_the_mark_of_its_english() {
    for Pair { english, chinese, .. } in every_pair() {
        let mark = if english.ends_with('?') { '\u{ff1f}' } else { '\u{3002}' };
        let text = chinese.strip_suffix(mark).unwrap_or_else(|| panic!("{chinese}"));
        assert!(text.chars().all(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{chinese}");
    }
}

#[test]
fn an_stands_before_vowels_and_a_before_consonants() {
    for pair in every_pair() {
        for two in words(pair).windows(2) {
            let vowel = two[1].starts_with(['a', 'e', 'i', 'o', 'u']);
            assert!(!(two[0] == "a" && vowel || two[0] == "an" && !vowel), "{}", pair.english);
        }
    }
}

/// The first words of verbs in the forms after *they* and after *he*.
fn present_forms(vocabulary: &Words) -> (HashSet<&str>, HashSet<&str>) {
    let verbs = vocabulary.verbs.values().flatten();
    let verbs = verbs.map(|verb| (&verb.forms[0], &verb.forms[1], &verb.forms[2]));
    let intransitive = vocabulary.intransitive.values().flatten().map(|verb| (&verb.0, &verb.1, &verb.2));
    let mut plain = HashSet::from(["do", "go", "want"]);
    let mut third = HashSet::from(["does", "goes", "wants"]);
    for (base, s, past) in verbs.chain(intransitive) {
        // *He read*, yesterday.
        if base != past {
            plain.extend(base.split(' ').next());
        }
        third.extend(s.split(' ').next());
    }
    (plain, third)
}

#[test]
fn verbs_agree_with_the_noun_before_them() {
    let vocabulary = Words::read();
    let (plain, third) = present_forms(&vocabulary);
    let nouns: Vec<_> = vocabulary.nouns.values().flatten().collect();
    let mut checked = 0;
    for pair in every_pair().filter(|pair| pair.english.ends_with('.')) {
        let words = words(pair);
        if !["the", "this", "these"].contains(&words[0].as_str()) {
            continue;
        }
        let is =
            |word: &String, form: fn(&words::Noun) -> &String| nouns.iter().any(|noun| form(noun) == word);
        let singular = |word: &String| is(word, |noun| &noun.singular);
        let plural = |word: &String| is(word, |noun| &noun.plural);
        let Some(at) = (1..3).find(|at| singular(&words[*at]) || plural(&words[*at])) else {
            continue;
        };
        let (wrong, be) =
            if plural(&words[at]) { (&third, ["is", "was"]) } else { (&plain, ["are", "were"]) };
        let verb = words[at + 1].as_str();
        assert!(!wrong.contains(verb) && !be.contains(&verb), "{}", pair.english);
        checked += 1;
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn verbs_agree_with_the_pronoun_before_or_after_them() {
    let vocabulary = Words::read();
    let (plain, third) = present_forms(&vocabulary);
    let mut checked = 0;
    for pair in every_pair() {
        let words = words(pair);
        let is_question = pair.english.ends_with('?');
        for (at, word) in words.iter().enumerate() {
            let (be, is_third) = match word.as_str() {
                "I" => (["am", "was"], false),
                "he" | "she" => (["is", "was"], true),
                "we" | "they" => (["are", "were"], false),
                // Also an object.
                "you" if at == 0 || is_question && at == 1 => (["are", "were"], false),
                _ => continue,
            };
            let verb = match is_question {
                true => &words[at - 1],
                false => &words[at + 1],
            };
            let verb = verb.as_str();
            let wrong = if is_third { &plain } else { &third };
            assert!(!wrong.contains(verb), "{}", pair.english);
            if ["am", "is", "are", "was", "were"].contains(&verb) {
                assert!(be.contains(&verb), "{}", pair.english);
            }
            checked += 1;
        }
    }
    assert!(checked > 1000, "{checked}");
}

#[test]
fn more_than_one_is_plural_and_one_is_singular() {
    let vocabulary = Words::read();
    let nouns: Vec<_> = vocabulary.nouns.values().flatten().collect();
    let first = |text: &'_ str| text.split(' ').next().unwrap().to_owned();
    let plurals: HashSet<_> = nouns.iter().map(|noun| first(&noun.plural)).collect();
    let singulars: HashSet<_> = nouns.iter().map(|noun| first(&noun.singular)).collect();
    for pair in every_pair() {
        let words = words(pair);
        for (at, word) in words.iter().enumerate() {
            let wanted = match word.as_str() {
                "two" | "three" | "many" | "these" => &plurals,
                "a" | "an" => &singulars,
                _ => continue,
            };
            // One adjective may stand between.
            let noun = words[at + 1..]
                .iter()
                .take(2)
                .find(|word| plurals.contains(*word) || singulars.contains(*word));
            assert!(noun.is_some_and(|noun| wanted.contains(noun)), "{}", pair.english);
        }
    }
}

#[test]
fn after_an_auxiliary_the_verb_has_its_base_form() {
    let vocabulary = Words::read();
    let forms =
        vocabulary.verbs.values().flatten().map(|verb| [&verb.forms[0], &verb.forms[1], &verb.forms[2]]);
    let intransitive = vocabulary.intransitive.values().flatten().map(|verb| [&verb.0, &verb.1, &verb.2]);
    let inflected: HashSet<_> = forms
        .chain(intransitive)
        .flat_map(|[base, s, past]| [s, past].into_iter().filter(move |form| *form != base))
        .map(|form| form.split(' ').next().unwrap().to_owned())
        .collect();
    for pair in every_pair() {
        for two in words(pair).windows(2) {
            let auxiliary =
                ["will", "can", "cannot", "should", "not", "to", "please"].contains(&two[0].as_str());
            assert!(!(auxiliary && inflected.contains(&two[1])), "{}", pair.english);
        }
    }
}
