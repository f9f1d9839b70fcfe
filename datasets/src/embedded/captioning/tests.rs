use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use proptest::prelude::*;

use super::grammar::Phrase;
use super::*;
use crate::sha256;

fn parts() -> [&'static [Scene]; 3] {
    let set = captioning();
    [&set.train, &set.validation, &set.test]
}

fn every_scene() -> impl Iterator<Item = &'static Scene> {
    parts().into_iter().flatten()
}

fn object(size: Size, colour: Colour, shape: Shape, centre: [f64; 2]) -> Object {
    let radius = if size == Size::Small { 6. } else { 11. };
    Object { shape, colour, size, centre, radius, turn: [1., 0.], shade: [255; 3] }
}

fn scene(objects: Vec<Object>) -> Scene {
    let background =
        Background { pattern: Pattern::Plain, colours: [[0; 3]; 2], direction: [1., 0.], noise: 0, seed: 0 };
    Scene { objects, background, novel: false, claims: vec![] }
}

/// The scenes of `cases.tsv`.
fn named_scene(name: &str) -> Scene {
    let objects = match name {
        "pair" => vec![
            object(Size::Small, Colour::Red, Shape::Circle, [15., 30.]),
            object(Size::Large, Colour::Blue, Shape::Square, [45., 34.]),
        ],
        "group" => [[10., 10.], [30., 50.], [50., 20.]]
            .map(|centre| object(Size::Small, Colour::Green, Shape::Star, centre))
            .into(),
        "column" => vec![
            object(Size::Large, Colour::White, Shape::Ring, [30., 50.]),
            object(Size::Large, Colour::Orange, Shape::Star, [32., 12.]),
            object(Size::Small, Colour::Purple, Shape::Star, [34., 32.]),
        ],
        _ => panic!("no scene {name}"),
    };
    scene(objects)
}

#[test]
fn the_parts_have_their_sizes_and_half_of_what_judges_is_novel() {
    assert_eq!(parts().map(<[Scene]>::len), [4000, 300, 500]);
    let novel = parts().map(|part| part.iter().filter(|scene| scene.novel).count());
    assert_eq!(novel, [0, 150, 250]);
}

#[test]
fn the_set_is_the_same_everywhere() {
    let text = [files::TRAIN, files::VALIDATION, files::TEST].map(files::table).concat();
    let pictures: Vec<u8> = every_scene().flat_map(Scene::picture).collect();
    assert_eq!(
        [sha256::of_bytes(text.as_bytes()), sha256::of_bytes(&pictures)],
        [
            "04b719d3113db7540d518d69364b02bae1565146083cc7f207136431f61d565a",
            "a800322d66a5f7810d3531de042b7fdee60f77e310496e119e378c2c40002f46"
        ]
    );
    assert_eq!(*captioning(), Captioning::drawn_from(SEED));
    assert_ne!(captioning().test, Captioning::drawn_from(SEED + 1).test);
}

#[test]
fn every_scene_has_four_captions_in_both_languages_that_are_true_of_it() {
    for scene in every_scene() {
        for language in Language::ALL {
            let captions = scene.captions(language);
            let different: HashSet<_> = captions.iter().collect();
            assert_eq!([captions.len(), different.len()], [4, 4], "{captions:?}");
            for caption in captions {
                assert_eq!(scene.judge(&caption, language), Verdict::True, "{caption}: {:?}", scene.objects);
            }
        }
    }
}

#[test]
fn what_is_read_is_what_was_written() {
    for claim in every_scene().flat_map(|scene| &scene.claims) {
        for language in Language::ALL {
            let reading = Claim::read(&claim.write(language), language).unwrap();
            assert_eq!(reading.claim, *claim);
        }
    }
}

#[test]
fn captions_are_judged_as_by_a_person() {
    let mut judged = HashMap::new();
    for line in include_str!("cases.tsv").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, language, expected, caption] = columns[..] else { panic!("{line}") };
        let language = if language == "en" { Language::English } else { Language::Chinese };
        let found = match named_scene(name).judge(caption, language) {
            Verdict::True => "true",
            Verdict::False { .. } => "false",
            Verdict::Ungrammatical => "ungrammatical",
        };
        assert_eq!(found, expected, "{name}: {caption}");
        *judged.entry((language, expected)).or_insert(0) += 1;
    }
    assert!(judged.len() == 6 && judged.values().all(|count| *count >= 5), "{judged:?}");
}

#[test]
fn a_false_caption_is_told_why() {
    let cases = [
        ("pair", "a red star", "`a red star`: the number of such objects is 0"),
        ("group", "a star and two green stars", "`two green stars`: the number of such objects is 3"),
        (
            "pair",
            "a circle above a square",
            "`a circle above a square`: these objects are there, but not placed like this",
        ),
        (
            "pair",
            "a circle and a red circle",
            "`a circle and a red circle`: there are not so many different objects",
        ),
    ];
    for (name, caption, expected) in cases {
        let verdict = named_scene(name).judge(caption, Language::English);
        assert_eq!(verdict, Verdict::False { why: expected.to_owned() });
    }
}

#[test]
fn a_caption_of_another_scene_is_seldom_true() {
    let test = &captioning().test;
    let pairs = test.iter().zip(test.iter().skip(1));
    let whole =
        pairs.map(|(scene, next)| next.judge(&scene.captions(Language::English)[0], Language::English));
    let right = whole.filter(|verdict| *verdict == Verdict::True).count();
    assert!(right < 20, "{right}");
}

#[test]
fn words_name_the_objects_that_the_caption_is_true_of() {
    let named = |name: &str, caption: &str| -> Vec<Option<Vec<usize>>> {
        let scene = named_scene(name);
        let units = Language::English.units(caption).len();
        (0..units).map(|unit| Some(scene.named(caption, unit, Language::English)?.objects)).collect()
    };
    let (ring, orange, purple) = (Some(vec![0]), Some(vec![1]), Some(vec![2]));
    let caption = "an orange star above a ring";
    assert_eq!(named("column", caption), [None, orange.clone(), orange.clone(), None, None, ring.clone()]);
    assert_eq!(named("column", "a star below a star"), [None, purple, None, None, orange]);
    assert_eq!(named("column", "two stars"), [None, Some(vec![1, 2])]);
    assert_eq!(named("column", "a star"), [None, Some(vec![1, 2])]);
    // False, but the ring is there.
    assert_eq!(named("column", "a ring above a circle"), [None, ring, None, None, Some(vec![])]);
    assert_eq!(named("column", "ring"), [None]);
}

#[test]
fn characters_name_the_attributes_that_their_words_tell() {
    let scene = named_scene("pair");
    // Small, of; red, colour; circle, shape; at; large, of; blue, colour; square of three; of, left, side.
    let caption = include_str!("cases.tsv").lines().find(|line| line.starts_with("pair\tzh")).unwrap();
    let caption = caption.rsplit('\t').next().unwrap();
    let named: Vec<_> = (0..Language::Chinese.units(caption).len())
        .map(|unit| scene.named(caption, unit, Language::Chinese))
        .map(|named| named.map(|Named { attribute, objects }| (attribute, objects[0])))
        .collect();
    use Attribute::{Colour, Shape, Size};
    let of = |attribute, object| Some((attribute, object));
    let circle = [Size, Size, Colour, Colour, Shape, Shape].map(|attribute| of(attribute, 0));
    let square = [Size, Size, Colour, Colour, Shape, Shape, Shape].map(|attribute| of(attribute, 1));
    assert_eq!(named, [&circle[..], &[None], &square, &[None; 3]].concat());
    assert_eq!(scene.named(caption, 100, Language::Chinese), None);
}

#[test]
fn held_out_combinations_are_in_every_novel_scene_and_in_no_scene_of_training() {
    let HeldOut { colours, relations } = &captioning().held_out;
    assert_eq!([colours.len(), relations.len()], [6, 12]);
    let mut by_colour = 0;
    for scene in every_scene() {
        let coloured = scene.objects.iter().any(|object| colours.contains(&(object.colour, object.shape)));
        let related = scene.objects.iter().any(|one| {
            let to = |other: &Object| (one.shape, one.relation_to(other), other.shape);
            scene.objects.iter().any(|other| relations.contains(&to(other)))
        });
        assert_eq!(scene.novel, coloured || related);
        by_colour += usize::from(coloured);
    }
    assert!((100..380).contains(&by_colour), "{by_colour}");
}

#[test]
fn training_captions_never_say_what_is_held_out() {
    let HeldOut { colours, relations } = &captioning().held_out;
    for claim in captioning().train.iter().flat_map(|scene| &scene.claims) {
        for Phrase { colour, shape, .. } in &claim.phrases {
            assert!(colour.is_none_or(|colour| !colours.contains(&(colour, *shape))), "{claim:?}");
        }
        if let (Some(relation), [one, other]) = (claim.relation, &claim.phrases[..]) {
            assert!(!relations.contains(&(one.shape, relation, other.shape)), "{claim:?}");
        }
    }
}

/// How often each word, or character, stands in the captions.
fn unit_counts(part: &[Scene], language: Language) -> BTreeMap<String, usize> {
    let captions: Vec<_> = part.iter().flat_map(|scene| scene.captions(language)).collect();
    let mut counts = BTreeMap::new();
    for unit in captions.iter().flat_map(|caption| language.units(caption)) {
        *counts.entry(unit.to_owned()).or_insert(0) += 1;
    }
    counts
}

#[test]
fn training_has_every_word_hundreds_of_times() {
    for (language, words) in [(Language::English, 32), (Language::Chinese, 33)] {
        let known = unit_counts(&captioning().train, language);
        assert!(known.values().all(|count| *count >= 200), "{known:?}");
        assert_eq!(known.len(), words, "{known:?}");
        for part in [&captioning().validation, &captioning().test] {
            assert!(unit_counts(part, language).keys().all(|word| known.contains_key(word)));
        }
    }
}

#[test]
fn objects_are_inside_the_picture_and_mostly_visible() {
    for scene in every_scene() {
        for (index, object) in scene.objects.iter().enumerate() {
            let [x, y] = object.centre;
            assert!(x.min(y) > object.radius && x.max(y) < SIZE as f64 - object.radius);
            let pixels = (0..SIZE * SIZE).map(|pixel| (pixel % SIZE, pixel / SIZE));
            let covered: Vec<_> = pixels.filter(|(x, y)| object.covers(*x, *y)).collect();
            let over = &scene.objects[index + 1..];
            let hidden =
                covered.iter().filter(|(x, y)| over.iter().any(|other| other.covers(*x, *y))).count();
            assert!(covered.len() >= 25 && 3 * hidden < covered.len(), "{hidden} of {}", covered.len());
        }
    }
}

#[test]
fn relations_of_different_objects_are_unmistakable() {
    let mut pairs = 0;
    for scene in every_scene() {
        let kinds: HashSet<_> = scene.objects.iter().map(|object| (object.colour, object.shape)).collect();
        if kinds.len() < 2 {
            continue;
        }
        for (index, one) in scene.objects.iter().enumerate() {
            for other in &scene.objects[..index] {
                let [across, down] = [0, 1].map(|axis| (one.centre[axis] - other.centre[axis]).abs());
                assert!(across > 2. * down || down > 2. * across);
                assert_eq!(one.relation_to(other), other.relation_to(one).converse());
                pairs += 1;
            }
        }
    }
    assert!(pairs > 3000, "{pairs}");
}

/// Whatever noise, background and neighbours do: on the average over its pixels,
/// an object has about its shade.
#[test]
fn an_object_is_painted_in_its_shade_where_it_is() {
    for scene in &captioning().test {
        let picture = scene.picture();
        let object = scene.objects.last().unwrap();
        let inside = (0..SIZE * SIZE).filter(|pixel| {
            let (x, y) = (pixel % SIZE, pixel / SIZE);
            object.distance([x as f64 + 0.5, y as f64 + 0.5]) < -0.5
        });
        let inside: Vec<_> = inside.collect();
        for channel in 0..3 {
            let sum: f64 = inside.iter().map(|pixel| f64::from(picture[3 * pixel + channel])).sum();
            let difference = sum / inside.len() as f64 - f64::from(object.shade[channel]);
            assert!(difference.abs() < 8., "{difference} {object:?}");
        }
    }
}

/// The painted colours are nearer to others of their name than to any other name's.
#[test]
fn colours_do_not_run_into_each_other() {
    let mut sums: HashMap<Colour, ([f64; 3], f64)> = HashMap::new();
    for object in every_scene().flat_map(|scene| &scene.objects) {
        let (sum, count) = sums.entry(object.colour).or_default();
        (0..3).for_each(|channel| sum[channel] += f64::from(object.shade[channel]));
        *count += 1.;
    }
    let distance = |object: &Object, colour: &Colour| {
        let (sum, count) = sums[colour];
        let differences = [0, 1, 2].map(|channel| sum[channel] / count - f64::from(object.shade[channel]));
        differences.iter().map(|difference| difference * difference).sum::<f64>()
    };
    for object in every_scene().flat_map(|scene| &scene.objects) {
        let nearest = Colour::ALL
            .into_iter()
            .min_by(|one, other| distance(object, one).total_cmp(&distance(object, other)));
        assert_eq!(nearest, Some(object.colour));
    }
}

#[test]
fn bounds_hold_all_that_an_object_covers() {
    for object in captioning().test.iter().flat_map(|scene| &scene.objects) {
        let [left, top, right, bottom] = object.bounds();
        for pixel in 0..SIZE * SIZE {
            let (x, y) = (pixel % SIZE, pixel / SIZE);
            let is_within = (left..right).contains(&x) && (top..bottom).contains(&y);
            assert!(is_within || !object.covers(x, y), "{x} {y} {object:?}");
        }
    }
}

/// Sets with other seeds, made once.
fn other(seed: u64) -> &'static Captioning {
    static SETS: [OnceLock<Captioning>; 3] = [const { OnceLock::new() }; 3];
    SETS[seed as usize].get_or_init(|| Captioning::drawn_from(seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn scenes_of_any_seed_hold_what_the_embedded_ones_hold(seed in 0u64..3, index in 0usize..500) {
        let set = other(seed);
        let scene = &set.test[index];
        prop_assert_eq!(scene.picture(), scene.picture());
        prop_assert_eq!(scene.novel, set.held_out.is_among(&scene.objects));
        for language in Language::ALL {
            for caption in scene.captions(language) {
                prop_assert_eq!(scene.judge(&caption, language), Verdict::True);
            }
        }
    }

    /// Whatever words a model puts together, they are judged without a panic.
    #[test]
    fn any_row_of_words_is_judged(words in prop::collection::vec(0usize..40, 0..12), index in 0usize..500) {
        let scene = &captioning().test[index];
        for language in Language::ALL {
            let known: Vec<_> = unit_counts(&captioning().train[..200], language).into_keys().collect();
            let units: Vec<_> = words.iter().map(|word| known[word % known.len()].as_str()).collect();
            let caption = units.join(if language == Language::English { " " } else { "" });
            scene.judge(&caption, language);
            (0..units.len()).for_each(|unit| drop(scene.named(&caption, unit, language)));
        }
    }
}
