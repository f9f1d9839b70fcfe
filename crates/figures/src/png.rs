//! SVG as pixels.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, FaceInfo, ID, Source};
use resvg::usvg::{FallbackSelectionFn, FontResolver, Options, Tree};

use crate::Error;

/// Pixels that a side may have.
const SIDE: f32 = 16384.0;

/// The family of the font that is built in.
const BUILT_IN: &str = "Noto Sans";

/// The fonts of every picture: Noto Sans, which is built in so that Latin, Greek and Cyrillic look
/// the same on every machine, then the system's for all else.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_source(Source::Binary(Arc::new(ttf_noto_sans::REGULAR)));
    fonts.load_system_fonts();
    // after the system's fonts, whose configuration sets it too
    fonts.set_sans_serif_family(BUILT_IN);
    fonts.set_serif_family(BUILT_IN);
    Arc::new(fonts)
});

/// Draws `svg` and returns the bytes of a PNG file; `scale` is the number of pixels per unit of the
/// SVG, 2 for a sharp picture in a document.
///
/// Text is drawn in Noto Sans, which is built in, and where that lacks a character, in the first of
/// the system's fonts that has it. A character that no font has is drawn as an empty box. Pictures
/// within the SVG must be part of it: [`png_url`](crate::markup::png_url).
///
/// # Errors
/// When `svg` is no SVG, or when the picture would have no pixel or more than 16384 on a side.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, Error> {
    let options = Options {
        font_family: BUILT_IN.to_owned(),
        font_resolver: FontResolver {
            select_font: FontResolver::default_font_selector(),
            select_fallback: fallback(),
        },
        fontdb: Arc::clone(&FONTS),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| Error::Svg(error.to_string()))?;
    let (width, height) = (tree.size().width(), tree.size().height());
    let [across, down] = [width, height].map(|side| (side * scale).ceil());
    let size_error = Error::Size { width, height, scale };
    if ![across, down].iter().all(|side| (1.0..=SIDE).contains(side)) {
        return Err(size_error);
    }
    let mut pixels = Pixmap::new(across as u32, down as u32).ok_or(size_error)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| Error::Encoding(error.to_string()))
}

/// Where the chosen font lacks a character: a font of the same style and weight if one has it, any
/// font otherwise. usvg by itself takes the first, be it bold or italic.
fn fallback() -> FallbackSelectionFn<'static> {
    let first_with = FontResolver::default_fallback_selector();
    Box::new(move |character, tried, fonts| {
        let chosen = fonts.face(*tried.first()?)?;
        let differs = |face: &FaceInfo| (face.style, face.weight) != (chosen.style, chosen.weight);
        let others = fonts.faces().filter(|face| differs(face)).map(|face| face.id);
        let excluded: Vec<ID> = tried.iter().copied().chain(others).collect();
        first_with(character, &excluded, fonts).or_else(|| first_with(character, tried, fonts))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"80\" height=\"20\">\
             <text x=\"2\" y=\"15\" font-size=\"14\">{text}</text></svg>"
        )
    }

    /// Width and height from the header of a PNG file.
    fn size(png: &[u8]) -> [u32; 2] {
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()))
    }

    #[test]
    fn the_scale_multiplies_the_size() {
        assert_eq!(size(&png(&text("dog"), 1.0).unwrap()), [80, 20]);
        assert_eq!(size(&png(&text("dog"), 2.5).unwrap()), [200, 50]);
    }

    #[test]
    fn letters_leave_ink_and_characters_without_a_font_are_no_error() {
        let ink = |characters| {
            let pixels = Pixmap::decode_png(&png(&text(characters), 1.0).unwrap()).unwrap();
            pixels.pixels().iter().filter(|pixel| pixel.alpha() > 0).count()
        };
        assert!(ink("hund") > 50);
        assert!(ink("Žluťoučký") > ink("Ž"));
        assert_eq!(ink(" "), 0);
        ink("\u{10ffff}狗\u{e000}");
    }

    #[test]
    fn a_picture_in_the_svg_is_drawn_without_blurring_its_pixels() {
        let mut two = Pixmap::new(2, 1).unwrap();
        two.data_mut().copy_from_slice(&[200, 0, 0, 255, 0, 0, 100, 255]);
        let url = crate::markup::png_url(&two.encode_png().unwrap());
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"20\" height=\"10\"><image width=\"20\" \
             height=\"10\" preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{url}\"/></svg>"
        );
        let pixels = Pixmap::decode_png(&png(&svg, 1.0).unwrap()).unwrap();
        let red = |x| pixels.pixel(x, 5).map(|pixel| (pixel.red(), pixel.blue()));
        assert_eq!([0, 9, 10, 19].map(red), [Some((200, 0)), Some((200, 0)), Some((0, 100)), Some((0, 100))]);
    }

    #[test]
    fn what_is_no_svg_and_what_has_no_size_is_an_error() {
        assert!(matches!(png("<p>dog</p>", 1.0), Err(Error::Svg(_))));
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
            assert!(matches!(png(&text("dog"), scale), Err(Error::Size { .. })), "{scale}");
        }
    }
}
