//! A picture of a recording, of what a network said of each of its frames, and of what was recognised.

mod axis;
mod tier;

use std::fmt::{self, Write};
use std::io::Cursor;

use anyhow::{Context, Result, bail, ensure};
use app_kit::UsageError;
use audio_features::{Audio, Config, Extractor, Padding, Spectrogram, Window, spectrogram};
use figures::colour_scale::{hexadecimal, rgb};
use figures::labels::{cut, width};
use figures::markup::{escape, png_url};
use image::{ImageFormat, Rgb, RgbImage};

use crate::Transcript;
use axis::Axis;
use tier::Tier;

/// What a network said of each frame.
#[derive(Clone, Copy, Debug)]
pub struct Posteriors<'a> {
    /// Natural logarithms of the probabilities, row by row: `[frames, symbols]`.
    pub log_probs: &'a [f32],
    /// What the symbols are called, the blank too.
    pub symbols: &'a [String],
    /// Seconds from the start of a frame to that of the next, the first being at 0.
    pub frame: f64,
}

/// How the picture is drawn: above the spectrogram, frequency in kHz; below it, in strips, the words and the
/// symbols that were recognised; below them a row for each symbol that ever becomes probable, the darker
/// the more probable it is; all along one axis of time in seconds.
///
/// Colours get lighter or darker in a straight line, so that they can be told apart without their hue, in
/// print too.
#[derive(Clone, Debug, PartialEq)]
pub struct PosteriorPicture {
    /// How wide a second is, in units of the SVG; a short recording is drawn wider. In a PNG a unit is two
    /// pixels.
    pub units_per_second: f64,
    /// The probability that a symbol must reach somewhere to have a row.
    pub threshold: f32,
    /// Decibel from the loudest to the darkest of the spectrogram.
    pub range: f32,
}

impl Default for PosteriorPicture {
    fn default() -> Self {
        Self { units_per_second: 160.0, threshold: 0.1, range: 70.0 }
    }
}

/// Pixels of a PNG for a unit of the SVG.
const PIXELS: f64 = 2.0;
/// Pixels that a side may have.
const SIDE: f64 = 16_384.0;
/// The axis of time is never shorter.
const SHORTEST: f64 = 480.0;
/// Height of the spectrogram.
const SPECTROGRAM: f64 = 200.0;
/// Height of a symbol's row.
const ROW: f64 = 15.0;
/// Between two parts of the picture.
const GAP: f64 = 8.0;
/// White around the picture.
const MARGIN: f64 = 12.0;
/// Legends at the right.
const LEGEND: f64 = 64.0;
const FONT: f64 = 12.0;
const INK: &str = "#222";
const GRID: &str = "#8a929c";

impl PosteriorPicture {
    /// The picture as SVG that needs no other file. Segments say when they are and how sure when pointed at.
    ///
    /// # Errors
    /// [`UsageError`] for a recording that would be wider than 16,384 pixels as PNG, and says how long a
    /// piece may be; for more rows than fit. Log-probabilities that are NaN, above 0 or not whole frames,
    /// settings out of their range, a recording without samples or with one that is not finite.
    pub fn svg(&self, audio: &Audio, transcript: &Transcript, posteriors: &Posteriors) -> Result<String> {
        let limits =
            [("units_per_second", self.units_per_second, 1e4), ("range", f64::from(self.range), 1e3)];
        for (name, value, most) in limits {
            ensure!(value > 0.0 && value <= most, "{name} is {value}; it must be above 0 and at most {most}");
        }
        ensure!(audio.duration() > 0.0, "the recording has no samples and cannot be drawn");
        posteriors.check()?;
        let rows = posteriors.rows(self.threshold);
        let layout = self.layout(audio, transcript, posteriors, &rows)?;
        let sound = self.spectrogram(audio, &layout.time)?;
        let probabilities = if rows.is_empty() { None } else { Some(posteriors.heat_map(&rows)?) };
        let mut svg = String::new();
        layout.draw(&mut svg, self, posteriors, (&sound, probabilities.as_deref()), transcript)?;
        Ok(svg)
    }

    /// The picture as the bytes of a PNG file, two pixels for a unit of the SVG.
    ///
    /// # Errors
    /// As [`PosteriorPicture::svg`].
    pub fn png(&self, audio: &Audio, transcript: &Transcript, posteriors: &Posteriors) -> Result<Vec<u8>> {
        Ok(figures::png(&self.svg(audio, transcript, posteriors)?, PIXELS as f32)?)
    }

    fn layout<'a>(
        &self,
        audio: &Audio,
        transcript: &'a Transcript,
        posteriors: &'a Posteriors,
        rows: &[usize],
    ) -> Result<Layout<'a>> {
        let rows: Vec<&str> = rows.iter().map(|&symbol| posteriors.symbols[symbol].as_str()).collect();
        let widths = rows.iter().chain(&["symbols"]).map(|name| f64::from(width(&label(name))) * FONT);
        let left = (MARGIN + widths.fold(0.0, f64::max) + 6.0).ceil();
        let end = audio.duration();
        let time = Axis { origin: left, scale: self.units_per_second.max(SHORTEST / end), end };
        let width = (time.at(end) + LEGEND + MARGIN).ceil();
        if width * PIXELS > SIDE {
            let longest = ((SIDE / PIXELS - left - LEGEND - MARGIN - 1.0) / self.units_per_second).floor();
            return Err(UsageError::new(format!(
                "a recording of {end:.1} s makes a picture of {:.0} pixels from left to right, and {SIDE} are the \
                 most: cut a piece of {longest} s at most",
                width * PIXELS
            ))
            .into());
        }
        let nyquist = f64::from(audio.rate) / 2000.0;
        let bottom = MARGIN + FONT + 12.0 + SPECTROGRAM;
        let frequency = Axis { origin: bottom, scale: -SPECTROGRAM / nyquist, end: nyquist };
        let (words, symbols) = (Tier::new(&transcript.words, &time), Tier::new(&transcript.symbols, &time));
        let words_top = bottom + GAP;
        let symbols_top = words_top + words.height() + GAP / 2.0;
        let rows_top = symbols_top + symbols.height() + GAP;
        let rows_bottom = rows_top + ROW * rows.len().max(1) as f64;
        let height = (rows_bottom + 38.0 + MARGIN).ceil();
        if height * PIXELS > SIDE {
            return Err(UsageError::new(format!(
                "{} symbols reach a probability of {}, too many rows for a picture: draw those that reach more",
                rows.len(),
                self.threshold
            ))
            .into());
        }
        Ok(Layout {
            time,
            frequency,
            words: (words, words_top),
            symbols: (symbols, symbols_top),
            rows,
            rows_top,
            rows_bottom,
            size: (width, height),
        })
    }

    /// A PNG file with a column for each of its pixels in the picture, and the size it has there.
    fn spectrogram(&self, audio: &Audio, time: &Axis) -> Result<Picture> {
        let rate = f64::from(audio.rate);
        let frame_length = ((rate * WINDOW) as usize).max(1);
        let fft_length = frame_length.next_power_of_two().max(512);
        let config = Config {
            frame_length,
            hop: ((rate / (time.scale * PIXELS)).round() as usize).max(1),
            fft_length,
            window: Window::Hann,
            periodic: true,
            padding: Padding::Mirror,
            mel: None,
            ..Config::kaldi_fbank(audio.rate, 1)
        };
        let features = Extractor::new(config.clone())?.extract(audio)?;
        let png = Spectrogram { range: self.range, ..Spectrogram::default() }.png(&features, &config)?;
        // a bin is as wide as the distance to the next and has its frequency in the middle
        let bin = rate / fft_length as f64 / 1000.0;
        let seconds = (features.frames() * config.hop) as f64 / rate;
        Ok(Picture { png, seconds, bin })
    }
}

/// The spectrogram's window, in seconds.
const WINDOW: f64 = 0.016;

/// A spectrogram and what it shows.
struct Picture {
    png: Vec<u8>,
    /// How long it is.
    seconds: f64,
    /// kHz of a row of pixels.
    bin: f64,
}

impl Posteriors<'_> {
    fn check(&self) -> Result<()> {
        let symbols = self.symbols.len();
        ensure!(
            symbols > 0 && self.log_probs.len().is_multiple_of(symbols),
            "{} log-probabilities are not whole frames of {symbols} symbols",
            self.log_probs.len()
        );
        ensure!(
            self.frame > 0.0 && self.frame.is_finite(),
            "a frame lasts {} s; it must be a number above 0",
            self.frame
        );
        // rounding may carry the logarithm of 1 above 0
        if let Some(at) = self.log_probs.iter().position(|value| value.is_nan() || *value > 1e-3) {
            let (frame, symbol, value) = (at / symbols, &self.symbols[at % symbols], self.log_probs[at]);
            bail!("the log-probability of {symbol:?} in frame {frame} is {value}; it must be 0 at most");
        }
        Ok(())
    }

    fn frames(&self) -> usize {
        self.log_probs.len() / self.symbols.len()
    }

    /// The symbols whose probability ever reaches `threshold`.
    fn rows(&self, threshold: f32) -> Vec<usize> {
        let reaches = |symbol: &usize| {
            let mut frames = self.log_probs.chunks_exact(self.symbols.len());
            frames.any(|frame| frame[*symbol].exp() >= threshold)
        };
        (0..self.symbols.len()).filter(reaches).collect()
    }

    /// A PNG file with a pixel for each frame and each symbol of `rows`.
    fn heat_map(&self, rows: &[usize]) -> Result<Vec<u8>> {
        let picture = RgbImage::from_fn(self.frames() as u32, rows.len() as u32, |frame, row| {
            let log_prob = self.log_probs[frame as usize * self.symbols.len() + rows[row as usize]];
            Rgb(rgb(log_prob.exp()))
        });
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, ImageFormat::Png)
            .context("cannot encode the picture of the posteriors")?;
        Ok(bytes.into_inner())
    }
}

/// What stands for a symbol in the picture. The built-in font has none of the characters that stand for a
/// blank.
fn label(symbol: &str) -> String {
    match symbol.trim() {
        "" => "_".to_owned(),
        text => cut(text),
    }
}

/// Where everything is, in units of the picture.
struct Layout<'a> {
    time: Axis,
    /// Up from the bottom of the spectrogram, in kHz.
    frequency: Axis,
    /// The strips and their tops.
    words: (Tier<'a>, f64),
    symbols: (Tier<'a>, f64),
    rows: Vec<&'a str>,
    rows_top: f64,
    rows_bottom: f64,
    size: (f64, f64),
}

impl Layout<'_> {
    fn draw(
        &self,
        svg: &mut String,
        picture: &PosteriorPicture,
        posteriors: &Posteriors,
        (sound, probabilities): (&Picture, Option<&[u8]>),
        transcript: &Transcript,
    ) -> fmt::Result {
        let (width, height) = self.size;
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Noto Sans, Helvetica, Arial, sans-serif\" \
             font-size=\"{FONT}\" fill=\"{INK}\" role=\"img\" \
             aria-label=\"Spectrogram, transcript and posteriors: {}\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>",
            escape(&transcript.text)
        )?;
        self.draw_spectrogram(svg, sound, picture.range)?;
        for (name, (tier, top)) in [("words", &self.words), ("symbols", &self.symbols)] {
            tier.draw(svg, name, *top, &self.time)?;
        }
        self.draw_rows(svg, posteriors, probabilities, picture.threshold)?;
        self.draw_boundaries(svg, transcript)?;
        self.draw_time(svg)?;
        writeln!(svg, "</svg>")
    }

    fn left(&self) -> f64 {
        self.time.at(0.0)
    }

    fn right(&self) -> f64 {
        self.time.at(self.time.end)
    }

    fn draw_spectrogram(&self, svg: &mut String, sound: &Picture, range: f32) -> fmt::Result {
        let (left, right, nyquist) = (self.left(), self.right(), self.frequency.end);
        let (top, bottom) = (self.frequency.at(nyquist), self.frequency.at(0.0));
        let (above, below) =
            (self.frequency.at(nyquist + sound.bin / 2.0), self.frequency.at(-sound.bin / 2.0));
        // half a bin stands out above and below, and the last frame at the right
        writeln!(
            svg,
            "<clipPath id=\"sound\"><path d=\"M{left:.2} {top:.2}H{right:.2}V{bottom:.2}H{left:.2}z\"/></clipPath>\n\
             <image clip-path=\"url(#sound)\" x=\"{left:.2}\" y=\"{above:.2}\" width=\"{:.2}\" height=\"{:.2}\" \
             preserveAspectRatio=\"none\" href=\"{}\"/>",
            self.time.scale * sound.seconds,
            below - above,
            png_url(&sound.png),
        )?;
        self.frame(svg, top, bottom)?;
        writeln!(
            svg,
            "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"end\">kHz</text>",
            left - 6.0,
            top - 12.0
        )?;
        for (y, name) in self.frequency.ticks(28.0) {
            writeln!(
                svg,
                "<path d=\"M{left:.2} {y:.2}h-4\" stroke=\"{GRID}\"/>\
                 <text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"end\">{name}</text>",
                left - 6.0,
                y + 0.35 * FONT
            )?;
        }
        let colour = |share: f64| hexadecimal(spectrogram::colour(share as f32));
        let names = ["0 dB".to_owned(), format!("−{}", range / 2.0), format!("−{range}")];
        self.draw_legend(svg, (top, bottom), colour, names)
    }

    /// A bar of colours, the highest value at its top, with the names of the highest, middle and lowest.
    fn draw_legend(
        &self,
        svg: &mut String,
        (top, bottom): (f64, f64),
        colour: impl Fn(f64) -> String,
        names: [String; 3],
    ) -> fmt::Result {
        const STEPS: usize = 32;
        let (x, height) = (self.right() + 12.0, bottom - top);
        for step in 0..STEPS {
            let share = |step: usize| step as f64 / STEPS as f64;
            writeln!(
                svg,
                "<rect x=\"{x:.2}\" y=\"{:.2}\" width=\"10\" height=\"{:.2}\" fill=\"{}\"/>",
                top + height * share(step),
                // down to the end, so that no white shines through between two steps
                height * (1.0 - share(step)),
                colour(1.0 - step as f64 / (STEPS - 1) as f64)
            )?;
        }
        writeln!(svg, "<path d=\"M{x:.2} {top:.2}h10V{bottom:.2}h-10z\" fill=\"none\" stroke=\"{GRID}\"/>")?;
        let places = [top + 0.8 * FONT, (top + bottom) / 2.0 + 0.35 * FONT, bottom];
        for (y, name) in places.into_iter().zip(names) {
            writeln!(svg, "<text x=\"{:.2}\" y=\"{y:.2}\" font-size=\"11\">{name}</text>", x + 15.0)?;
        }
        Ok(())
    }

    fn draw_rows(
        &self,
        svg: &mut String,
        posteriors: &Posteriors,
        probabilities: Option<&[u8]>,
        threshold: f32,
    ) -> fmt::Result {
        let (left, right, top, bottom) = (self.left(), self.right(), self.rows_top, self.rows_bottom);
        let Some(png) = probabilities else {
            writeln!(
                svg,
                "<text x=\"{:.2}\" y=\"{:.2}\">no symbol reaches a probability of {threshold}</text>",
                left + 6.0,
                top + ROW / 2.0 + 0.35 * FONT
            )?;
            return self.frame(svg, top, bottom);
        };
        // the last frame may reach beyond the end of the recording
        writeln!(
            svg,
            "<clipPath id=\"rows\"><path d=\"M{left:.2} {top:.2}H{right:.2}V{bottom:.2}H{left:.2}z\"/></clipPath>\n\
             <image clip-path=\"url(#rows)\" x=\"{left:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{:.2}\" \
             preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{}\"/>",
            self.time.scale * posteriors.frame * posteriors.frames() as f64,
            bottom - top,
            png_url(png),
        )?;
        for (row, name) in self.rows.iter().enumerate() {
            let line = top + ROW * row as f64;
            let name = escape(&label(name));
            writeln!(
                svg,
                "<path d=\"M{left:.2} {line:.2}H{right:.2}\" stroke=\"#d5dae1\" stroke-width=\"0.5\"/>\
                 <text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"end\">{name}</text>",
                left - 6.0,
                line + ROW / 2.0 + 0.35 * FONT
            )?;
        }
        self.frame(svg, top, bottom)?;
        let colour = |share: f64| hexadecimal(rgb(share as f32));
        let names = ["p = 1", "0.5", "0"].map(str::to_owned);
        self.draw_legend(svg, (top, bottom.max(top + 3.0 * ROW)), colour, names)
    }

    /// Where words begin and end, through spectrogram and posteriors.
    fn draw_boundaries(&self, svg: &mut String, transcript: &Transcript) -> fmt::Result {
        let times = transcript.words.iter().flat_map(|word| [word.start, word.end]);
        let within = times.filter(|&time| time > 0.0 && time < self.time.end);
        let (top, bottom) = (self.frequency.at(self.frequency.end), self.frequency.at(0.0));
        for x in within.map(|time| self.time.at(time)) {
            writeln!(
                svg,
                "<path d=\"M{x:.2} {top:.2}V{bottom:.2}\" stroke=\"#fff\" stroke-opacity=\"0.7\" \
                 stroke-width=\"0.75\"/><path d=\"M{x:.2} {:.2}V{:.2}\" stroke=\"{GRID}\" \
                 stroke-width=\"0.75\" stroke-dasharray=\"3 3\"/>",
                self.rows_top, self.rows_bottom
            )?;
        }
        Ok(())
    }

    fn draw_time(&self, svg: &mut String) -> fmt::Result {
        let bottom = self.rows_bottom;
        for (x, name) in self.time.ticks(56.0) {
            writeln!(
                svg,
                "<path d=\"M{x:.2} {bottom:.2}v5\" stroke=\"{GRID}\"/>\
                 <text x=\"{x:.2}\" y=\"{:.2}\" text-anchor=\"middle\">{name}</text>",
                bottom + 6.0 + FONT
            )?;
        }
        let (x, y) = ((self.left() + self.right()) / 2.0, bottom + 22.0 + FONT);
        writeln!(svg, "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"middle\">seconds</text>")
    }

    /// The border of a part of the picture.
    fn frame(&self, svg: &mut String, top: f64, bottom: f64) -> fmt::Result {
        let (left, right) = (self.left(), self.right());
        writeln!(
            svg,
            "<path d=\"M{left:.2} {top:.2}H{right:.2}V{bottom:.2}H{left:.2}z\" fill=\"none\" stroke=\"{GRID}\"/>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timed;
    use proptest::prelude::*;

    const FRAME: f64 = 0.02;

    fn timed(text: &str, start: f64, end: f64) -> Timed {
        Timed { text: text.to_owned(), start, end, confidence: 0.9 }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// A second and a half at 8 kHz, of which 0.5 to 1 s are a tone of 1 kHz.
    fn tone() -> Audio {
        let sample = |i: u32| match i {
            4000..8000 => 0.5 * (std::f32::consts::TAU * i as f32 / 8.0).sin(),
            _ => 0.0,
        };
        Audio { samples: (0..12_000).map(sample).collect(), rate: 8000 }
    }

    fn transcript() -> Transcript {
        let words = vec![timed("pe&ep", 0.5, 1.0)];
        let symbols = vec![timed("b", 0.5, 0.7), timed(" ", 0.9, 1.0)];
        Transcript { text: "pe&ep".into(), words, symbols, score: -1.0, duration: 1.5 }
    }

    /// 75 frames: `b` from 0.5 to 0.7 s, `c` never, the blank otherwise.
    fn log_probs() -> Vec<f32> {
        let frame =
            |frame: usize| if (25..35).contains(&frame) { [0.05, 0.9, 0.05] } else { [0.98, 0.01, 0.01] };
        (0..75).flat_map(frame).map(f32::ln).collect()
    }

    #[test]
    fn sound_and_posteriors_are_drawn_at_their_time() -> Result<()> {
        let (picture, transcript, symbols, log_probs) =
            (PosteriorPicture::default(), transcript(), names(&["∅", "b", "c"]), log_probs());
        let posteriors = Posteriors { log_probs: &log_probs, symbols: &symbols, frame: FRAME };
        let layout = picture.layout(&tone(), &transcript, &posteriors, &posteriors.rows(0.1))?;
        assert_eq!(layout.rows, ["∅", "b"]);
        let png = picture.png(&tone(), &transcript, &posteriors)?;
        let pixels = image::load_from_memory(&png)?.to_rgb8();
        assert_eq!(pixels.dimensions(), (2 * layout.size.0 as u32, 2 * layout.size.1 as u32));
        let light = |time: f64, y: f64| {
            let [x, y] = [layout.time.at(time), y].map(|place| (PIXELS * place).round() as u32);
            let [red, green, blue] = pixels.get_pixel(x, y).0.map(u32::from);
            (2 * red + 7 * green + blue) / 10
        };
        let kilohertz = |value| layout.frequency.at(value);
        assert!(light(0.75, kilohertz(1.0)) > 200, "{}", light(0.75, kilohertz(1.0)));
        for (time, frequency) in [(0.75, 1.5), (0.75, 0.5), (0.75, 3.0), (0.25, 1.0), (1.25, 1.0)] {
            let found = light(time, kilohertz(frequency));
            assert!(found < 120, "{time} s, {frequency} kHz: {found}");
        }
        let row = |number: f64| layout.rows_top + ROW * (number + 0.5);
        for (time, blank, b) in
            [(0.25, true, false), (0.51, false, true), (0.69, false, true), (0.71, true, false)]
        {
            assert_eq!((light(time, row(0.0)) < 100, light(time, row(1.0)) < 100), (blank, b), "{time} s");
        }
        Ok(())
    }

    #[test]
    fn words_symbols_and_axes_have_their_names() -> Result<()> {
        let (symbols, log_probs) = (names(&["∅", "b", "c"]), log_probs());
        let posteriors = Posteriors { log_probs: &log_probs, symbols: &symbols, frame: FRAME };
        let svg = PosteriorPicture::default().svg(&tone(), &transcript(), &posteriors)?;
        for text in ["pe&amp;ep", "b", "_", "∅", "kHz", "3", "0.2", "1.4", "seconds", "0 dB", "−70", "p = 1"]
        {
            assert!(svg.contains(&format!(">{text}</text>")), "{text}");
        }
        assert!(!svg.contains(">c</text>"));
        assert!(svg.contains("<title>b 0.500–0.700 s, 0.90</title>"));
        let none = PosteriorPicture { threshold: 1.1, ..PosteriorPicture::default() };
        assert!(none.svg(&tone(), &transcript(), &posteriors)?.contains("no symbol reaches"));
        Ok(())
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error_that_says_why() {
        let symbols = names(&["∅", "b"]);
        let refusal = |picture: PosteriorPicture, audio: &Audio, log_probs: &[f32]| {
            let posteriors = Posteriors { log_probs, symbols: &symbols, frame: FRAME };
            picture.png(audio, &transcript(), &posteriors).unwrap_err()
        };
        let usual = PosteriorPicture::default;
        let long = Audio { samples: vec![0.1; 8000 * 60], rate: 8000 };
        let error = refusal(usual(), &long, &[-1.0; 4]);
        assert!(error.is::<UsageError>() && error.to_string().contains("cut a piece of 50 s"), "{error}");
        let short = Audio { samples: vec![], rate: 8000 };
        assert!(refusal(usual(), &short, &[-1.0; 4]).to_string().contains("no samples"));
        assert!(refusal(usual(), &tone(), &[-1.0; 3]).to_string().contains("not whole frames"));
        let nan = refusal(usual(), &tone(), &[-1.0, -1.0, -1.0, f32::NAN]).to_string();
        assert!(nan.contains("of \"b\" in frame 1 is NaN"), "{nan}");
        let none = PosteriorPicture { units_per_second: 0.0, ..usual() };
        assert!(refusal(none, &tone(), &[-1.0; 4]).to_string().contains("units_per_second is 0"));
        let many: Vec<String> = (0..600).map(|symbol| symbol.to_string()).collect();
        let posteriors = Posteriors { log_probs: &[-1.0; 600], symbols: &many, frame: FRAME };
        let error = usual().svg(&tone(), &transcript(), &posteriors).unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().starts_with("600 symbols"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn whatever_is_recognised_makes_a_picture(
            segments in prop::collection::vec(("\\PC{0,8}|[<&\"\0\n]", -1.0..2.0f64, -0.5..1.0f64), 0..12),
            log_probs in prop::collection::vec(prop_oneof![-9.0..0.0f32, Just(f32::NEG_INFINITY)], 0..40),
            samples in prop::collection::vec(-1.0..1.0f32, 1..2000),
            rate in 100u32..48_000,
        ) {
            let segments: Vec<Timed> =
                segments.iter().map(|(text, start, length)| timed(text, *start, start + length)).collect();
            let symbols = names(&["", "<&\u{1}"]);
            let whole = log_probs.len() / 2 * 2;
            let posteriors = Posteriors { log_probs: &log_probs[..whole], symbols: &symbols, frame: FRAME };
            let audio = Audio { samples, rate };
            let transcript = Transcript {
                text: segments.iter().map(|segment| segment.text.as_str()).collect(),
                words: segments.clone(),
                symbols: segments,
                score: f64::NAN,
                duration: audio.duration(),
            };
            let svg = PosteriorPicture::default().svg(&audio, &transcript, &posteriors).unwrap();
            prop_assert!(figures::png(&svg, 0.25).is_ok());
        }
    }
}
