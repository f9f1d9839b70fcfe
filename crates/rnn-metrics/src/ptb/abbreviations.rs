//! Words whose full stop belongs to them.

/// Always.
const ALWAYS: &str = "\
    adj adm adv al ala alex apr ariz assn assoc asst atty attys aug ave bancorp bhd bldg blvd brig bros \
    calif capt cf cie cmdr co col colo comdr conn corp cos cpl ct dak dec dept det dr drs elec ens esq est \
    etc ext feb fla fri ft ga gen gov govs hon inc ind insp intl jan jos jr jul jun kan kans ky lieut lt \
    ltd maj mar md messrs mfg mich minn mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev nov oct \
    okla penn pfc ph plc pres prof profs pte ptes pty pvt rd rep reps rev rt sen sens sep sept seq sfc sgt \
    spc sq sr st ste supt sys tel tenn thu thurs treas tue tues univ va vs vt wed wis wisc wm wyo";

/// With a capital at the beginning.
const CAPITALISED: &str = "ark az del ill la mass miss ore pa tex wash";

/// Before a number.
const BEFORE_NUMBERS: &str = "art ca fig figs no nos op pp prop";

/// What begins a sentence rather than a name, so that the letter before it is no initial.
const BEGINNINGS: &str = "\
    a about according additionally after an as at but earlier he her here however if in it last many more \
    now once one other our she since so some such that the their then there these they this we what when \
    while yet you";

fn has(list: &str, word: &[char]) -> bool {
    list.split(' ').any(|entry| super::rules::equal(word, entry))
}

/// Whether the full stop after `word` belongs to it; `after` is what follows the full stop.
pub(super) fn keeps_stop(word: &[char], after: &[char]) -> bool {
    let capital = word.first().is_some_and(char::is_ascii_uppercase);
    let number = match after {
        [' ', c, ..] | [c, ..] => c.is_ascii_digit(),
        [] => false,
    };
    // No entry is longer.
    word.len() <= 7
        && (has(ALWAYS, word) || capital && has(CAPITALISED, word) || number && has(BEFORE_NUMBERS, word))
}

/// Whether `word` is the first of a sentence.
pub(super) fn begins_sentence(word: &[char]) -> bool {
    word.first().is_some_and(char::is_ascii_uppercase) && has(BEGINNINGS, word)
}
