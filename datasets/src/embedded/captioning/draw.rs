//! Drawing scenes at random, and what is said of them.

use std::collections::BTreeSet;

use candle_rnn::Generator;
use rand::Rng;

use super::grammar::{Claim, Phrase};
use super::vocabulary::{Colour, Relation, Shape, Size};
use super::{Background, Object, Pattern, SIZE, Scene};

/// So many relations between two shapes are held out.
const RELATIONS: usize = 6;
/// The captions of a scene.
const CAPTIONS: usize = 4;
/// How often places are drawn for objects before other objects are drawn.
const ATTEMPTS: usize = 100;

/// The combinations that the training part lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOut {
    /// No object of this colour has this shape. Every shape is here once, a
    /// colour at most once.
    pub colours: BTreeSet<(Colour, Shape)>,
    /// No object of the first shape is so placed, seen from one of the second.
    /// The converse of each is here, too.
    pub relations: BTreeSet<(Shape, Relation, Shape)>,
}

impl HeldOut {
    pub(super) fn drawn(generator: &mut Generator) -> Self {
        let mut colours = Colour::ALL;
        generator.shuffle(&mut colours);
        let colours = colours.into_iter().zip(Shape::ALL).collect();
        let pairs = Shape::ALL.into_iter().flat_map(|one| Shape::ALL.map(|other| (one, other)));
        let mut relations: Vec<_> = pairs
            .filter(|(one, other)| one != other)
            .flat_map(|(one, other)| [Relation::LeftOf, Relation::Above].map(|how| (one, how, other)))
            .collect();
        generator.shuffle(&mut relations);
        relations.truncate(RELATIONS);
        let both =
            |(one, how, other): (Shape, Relation, Shape)| [(one, how, other), (other, how.converse(), one)];
        Self { colours, relations: relations.into_iter().flat_map(both).collect() }
    }

    /// Whether one of the combinations is among these objects.
    pub(super) fn is_among(&self, objects: &[Object]) -> bool {
        let related = |one: &Object, other: &Object| {
            self.relations.contains(&(one.shape, one.relation_to(other), other.shape))
        };
        objects.iter().enumerate().any(|(index, one)| {
            self.colours.contains(&(one.colour, one.shape))
                || objects[..index].iter().any(|other| related(one, other))
        })
    }
}

impl Scene {
    /// A scene that is novel, or one that is not.
    pub(super) fn drawn(generator: &mut Generator, held_out: &HeldOut, novel: bool) -> Self {
        loop {
            let objects = match generator.below(20) {
                0..3 => different(1, generator),
                3..9 => different(2, generator),
                9..16 => different(3, generator),
                _ => group(2 + generator.below(3), generator),
            };
            if let Some(objects) = objects
                && held_out.is_among(&objects) == novel
            {
                let background = Background::drawn(generator);
                let claims = claims(&objects, generator);
                return Self { objects, background, novel, claims };
            }
        }
    }
}

impl Background {
    fn drawn(generator: &mut Generator) -> Self {
        let patterns = [Pattern::Plain, Pattern::Gradient, Pattern::Stripes, Pattern::Clouds];
        let pattern = *one_of(&patterns, generator);
        let level = 30 + generator.below(100);
        let colours = [level, level + 25].map(|level| [(); 3].map(|()| (level + generator.below(20)) as u8));
        let [cosine, sine] = direction(between(generator, -1., 1.));
        // One of the four quarters of the circle.
        let direction =
            *one_of(&[[cosine, sine], [-sine, cosine], [-cosine, -sine], [sine, -cosine]], generator);
        let noise = 3 + generator.below(10) as u8;
        Self { pattern, colours, direction, noise, seed: generator.next_u64() }
    }
}

/// So many objects that differ in colour or shape, each pair of which stands
/// unmistakably side by side or one above the other.
fn different(count: usize, generator: &mut Generator) -> Option<Vec<Object>> {
    let mut objects: Vec<Object> = vec![];
    while objects.len() < count {
        let next = Object::drawn(generator);
        if !objects.iter().any(|object| object.colour == next.colour && object.shape == next.shape) {
            objects.push(next);
        }
    }
    let is_clear = |one: &Object, other: &Object| {
        let [greater, less] = differences(one, other);
        greater > apart(one, other, 0.5) && less < 0.5 * greater
    };
    placed(objects, is_clear, generator)
}

/// So many objects of one kind, apart from each other.
fn group(count: usize, generator: &mut Generator) -> Option<Vec<Object>> {
    let first = Object::drawn(generator);
    let like_first = |_| Object::of(first.shape, first.colour, first.size, generator);
    let objects = (0..count).map(like_first).collect();
    let are_apart = |one: &Object, other: &Object| {
        let [greater, less] = differences(one, other);
        let distance = (greater * greater + less * less).sqrt();
        distance > apart(one, other, 0.3)
    };
    placed(objects, are_apart, generator)
}

/// How far the centres of two objects are from each other if a part of the
/// smaller one's radius is covered.
fn apart(one: &Object, other: &Object, part: f64) -> f64 {
    one.radius + other.radius - part * one.radius.min(other.radius)
}

/// The greater and the lesser difference of two centres.
fn differences(one: &Object, other: &Object) -> [f64; 2] {
    let [across, down] = [0, 1].map(|axis| (one.centre[axis] - other.centre[axis]).abs());
    [across.max(down), across.min(down)]
}

/// The objects at random places where all pairs are right; none if no such
/// places were found.
fn placed(
    mut objects: Vec<Object>,
    is_right: impl Fn(&Object, &Object) -> bool,
    generator: &mut Generator,
) -> Option<Vec<Object>> {
    for _ in 0..ATTEMPTS {
        for object in &mut objects {
            let margin = object.radius + 1.;
            object.centre = [(); 2].map(|()| between(generator, margin, SIZE as f64 - margin));
        }
        let with_earlier = |(index, one)| objects[..index].iter().all(|other| is_right(one, other));
        if objects.iter().enumerate().all(with_earlier) {
            return Some(objects);
        }
    }
    None
}

impl Object {
    /// Any object, in the corner.
    fn drawn(generator: &mut Generator) -> Self {
        let shape = *one_of(&Shape::ALL, generator);
        let colour = *one_of(&Colour::ALL, generator);
        let size = *one_of(&Size::ALL, generator);
        Self::of(shape, colour, size, generator)
    }

    fn of(shape: Shape, colour: Colour, size: Size, generator: &mut Generator) -> Self {
        let radius = match size {
            Size::Small => between(generator, 5., 6.5),
            Size::Large => between(generator, 10., 12.),
        };
        // What has corners is slimmer than a circle around it.
        let stretch = match shape {
            Shape::Circle | Shape::Ring => 1.,
            Shape::Square | Shape::Cross => 1.1,
            Shape::Triangle | Shape::Star => 1.2,
        };
        let turn = direction(between(generator, -0.1, 0.1));
        let light = between(generator, 0.88, 1.06);
        let shade = paint(colour).map(|value| {
            let value = value * light + between(generator, -10., 10.);
            value.clamp(0., 255.) as u8
        });
        Self { shape, colour, size, centre: [0.; 2], radius: radius * stretch, turn, shade }
    }
}

/// Red, green and blue of a colour.
fn paint(colour: Colour) -> [f64; 3] {
    match colour {
        Colour::Red => [215., 40., 40.],
        Colour::Orange => [240., 135., 25.],
        Colour::Yellow => [245., 225., 55.],
        Colour::Green => [45., 170., 70.],
        Colour::Blue => [45., 90., 220.],
        Colour::Purple => [150., 60., 190.],
        Colour::White => [240., 240., 240.],
    }
}

/// Cosine and sine of an angle, of whose half `tangent` is the tangent.
fn direction(tangent: f64) -> [f64; 2] {
    let squared = tangent * tangent;
    [(1. - squared) / (1. + squared), 2. * tangent / (1. + squared)]
}

/// Different claims that are true of the objects.
fn claims(objects: &[Object], generator: &mut Generator) -> Vec<Claim> {
    let is_group = objects[1..].iter().any(|object| {
        (object.colour, object.shape, object.size) == (objects[0].colour, objects[0].shape, objects[0].size)
    });
    if objects.len() == 1 || is_group {
        return claims_of_kind(&objects[0], objects.len());
    }
    let mut claims: Vec<Claim> = vec![];
    while claims.len() < CAPTIONS {
        let claim = match (claims.len(), objects) {
            (0, [one, other]) => related(one, other, &mut whole),
            (3, _) => listed(objects, generator),
            (0, _) => of_all(objects),
            (number, _) => {
                let one = generator.below(objects.len());
                let other = (one + 1 + generator.below(objects.len() - 1)) % objects.len();
                match number == 1 && objects.len() == 3 {
                    true => related(&objects[one], &objects[other], &mut whole),
                    false => {
                        let keeps_colour = objects[one].shape == objects[other].shape;
                        let mut brief = |object: &Object| brief(object, keeps_colour, generator);
                        related(&objects[one], &objects[other], &mut brief)
                    }
                }
            }
        };
        if !claims.contains(&claim) {
            claims.push(claim);
        }
    }
    claims
}

/// All that can be said of `count` objects of one kind.
fn claims_of_kind(object: &Object, count: usize) -> Vec<Claim> {
    let all = Phrase { count, ..whole(object) };
    let phrases = [
        all,
        Phrase { size: None, ..all },
        Phrase { colour: None, ..all },
        Phrase { size: None, colour: None, ..all },
    ];
    phrases.map(|phrase| Claim { phrases: vec![phrase], relation: None }).into()
}

/// One object and where it is, seen from another.
fn related(one: &Object, other: &Object, phrase: &mut impl FnMut(&Object) -> Phrase) -> Claim {
    Claim { phrases: vec![phrase(one), phrase(other)], relation: Some(one.relation_to(other)) }
}

/// All objects with their colours.
fn of_all(objects: &[Object]) -> Claim {
    let phrase = |object| Phrase { size: None, ..whole(object) };
    Claim { phrases: objects.iter().map(phrase).collect(), relation: None }
}

/// All objects, without their relations; those of the same shape at once.
fn listed(objects: &[Object], generator: &mut Generator) -> Claim {
    let mut phrases: Vec<Phrase> = vec![];
    for object in objects {
        match phrases.iter_mut().find(|phrase| phrase.shape == object.shape) {
            Some(phrase) => {
                let (count, shape) = (phrase.count + 1, phrase.shape);
                *phrase = Phrase { count, size: None, colour: None, shape };
            }
            None => phrases.push(brief(object, false, generator)),
        }
    }
    Claim { phrases, relation: None }
}

/// An object with all its attributes.
fn whole(object: &Object) -> Phrase {
    Phrase { count: 1, size: Some(object.size), colour: Some(object.colour), shape: object.shape }
}

/// An object with some of its attributes.
fn brief(object: &Object, keeps_colour: bool, generator: &mut Generator) -> Phrase {
    let has_size = generator.below(2) == 0;
    let has_colour = keeps_colour || generator.below(4) > 0;
    let whole = whole(object);
    Phrase { size: whole.size.filter(|_| has_size), colour: whole.colour.filter(|_| has_colour), ..whole }
}

fn one_of<'a, T>(items: &'a [T], generator: &mut Generator) -> &'a T {
    &items[generator.below(items.len())]
}

/// Uniform between two numbers.
fn between(generator: &mut Generator, low: f64, high: f64) -> f64 {
    low + (high - low) * generator.uniform()
}
