//! Painting a scene. Only sums, products, quotients and roots are used, which
//! are the same on every machine, so that pictures are, too.

use candle_rnn::Generator;
use rand::Rng;

use super::{SIZE, Scene};

/// What is behind the objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Background {
    /// How its two colours are mixed.
    pub pattern: Pattern,
    /// Two colours: red, green, blue.
    pub colours: [[u8; 3]; 2],
    /// The direction in which a gradient or stripes change: to the right, down;
    /// of length 1.
    pub direction: [f64; 2],
    /// By how much noise changes a pixel of the whole picture at most, in steps
    /// of 256.
    pub noise: u8,
    /// The seed of the noise and the clouds.
    pub seed: u64,
}

/// How the colours of a [`Background`] are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The first colour only.
    Plain,
    /// From one to the other across the picture.
    Gradient,
    /// Soft stripes.
    Stripes,
    /// Random spots that run into each other.
    Clouds,
}

/// The pixels from the middle of a stripe to that of the next of the same colour.
const PERIOD: f64 = 12.;
/// The pixels from one random value of the clouds to the next.
const CELL: usize = 8;
/// Random values of the clouds in a row.
const CELLS: usize = SIZE / CELL + 1;

impl Scene {
    /// The picture, [`SIZE`] pixels wide and high: red, green and blue of each
    /// pixel, row by row from the top. The same bytes on every machine.
    pub fn picture(&self) -> Vec<u8> {
        let mut generator = Generator::new(self.background.seed);
        let mut pixels = self.background.paint(&mut generator);
        for object in &self.objects {
            let [left, top, right, bottom] = object.bounds();
            let shade = object.shade.map(f64::from);
            for (x, y) in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))) {
                let distance = object.distance([x as f64 + 0.5, y as f64 + 0.5]);
                // About the part of the pixel that the object covers.
                let part = (0.5 - distance).clamp(0., 1.);
                let pixel = &mut pixels[y * SIZE + x];
                *pixel = mixed(*pixel, shade, part);
            }
        }
        let mut noise = vec![0; 3 * SIZE * SIZE];
        generator.fill_bytes(&mut noise);
        let strength = f64::from(self.background.noise) / 127.5;
        let noisy = |(value, noise): (f64, u8)| value + (f64::from(noise) - 127.5) * strength;
        pixels.into_iter().flatten().zip(noise).map(noisy).map(|value| (value + 0.5) as u8).collect()
    }
}

impl Background {
    /// The colour of each pixel, row by row.
    fn paint(&self, generator: &mut Generator) -> Vec<[f64; 3]> {
        let [one, other] = self.colours.map(|colour| colour.map(f64::from));
        let mut values = [0; CELLS * CELLS];
        generator.fill_bytes(&mut values);
        let pixel = |index: usize| {
            let (x, y) = (index % SIZE, index / SIZE);
            let middle = SIZE as f64 / 2.;
            let [right, down] = [x, y].map(|pixel| pixel as f64 + 0.5 - middle);
            let along = right * self.direction[0] + down * self.direction[1];
            let part = match self.pattern {
                Pattern::Plain => 0.,
                Pattern::Gradient => (along / (3. * middle) + 0.5).clamp(0., 1.),
                Pattern::Stripes => {
                    let phase = along / PERIOD;
                    (2. * (phase - phase.floor()) - 1.).abs()
                }
                Pattern::Clouds => cloud(&values, x, y),
            };
            mixed(one, other, part)
        };
        (0..SIZE * SIZE).map(pixel).collect()
    }
}

/// Between the four random values around a pixel, from 0 to 1.
fn cloud(values: &[u8; CELLS * CELLS], x: usize, y: usize) -> f64 {
    let value = |right: usize, down: usize| f64::from(values[(y / CELL + down) * CELLS + x / CELL + right]);
    let [right, down] = [x, y].map(|pixel| (pixel % CELL) as f64 / CELL as f64);
    let above = value(0, 0) * (1. - right) + value(1, 0) * right;
    let below = value(0, 1) * (1. - right) + value(1, 1) * right;
    (above * (1. - down) + below * down) / 255.
}

fn mixed(one: [f64; 3], other: [f64; 3], part: f64) -> [f64; 3] {
    [0, 1, 2].map(|channel| one[channel] * (1. - part) + other[channel] * part)
}
