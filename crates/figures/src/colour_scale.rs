//! The colours of a heat map.

/// Colour for `value`, from 0 (nearly white) to 1 (navy), as `#rrggbb`.
///
/// One hue; the lightness falls in a straight line in Oklab, a space in which equal distances look
/// equal (Ottosson 2020, <https://bottosson.github.io/posts/oklab/>), so that a value twice as
/// large looks twice as dark, also in print without colours.
pub fn shade(value: f32) -> String {
    hexadecimal(rgb(value))
}

/// The same colour as red, green and blue.
pub fn rgb(value: f32) -> [u8; 3] {
    let value = value.clamp(0.0, 1.0);
    let lightness = 0.985 - 0.665 * value;
    // as much colour as the screen has at each lightness; with more, blue would be cut off at 255
    let chroma = 0.34 * value * (1.0 - value) + 0.08 * value;
    srgb(lightness, chroma, 255f32.to_radians())
}

/// A colour of red, green and blue as `#rrggbb`.
pub fn hexadecimal([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn srgb(lightness: f32, chroma: f32, hue: f32) -> [u8; 3] {
    let (a, b) = (chroma * hue.cos(), chroma * hue.sin());
    let long = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let medium = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_38 * short,
        -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short,
    ]
    .map(gamma)
}

/// The transfer function of IEC 61966-2-1, to 8 bits.
fn gamma(linear: f32) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let value = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    (value * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oklab_is_ottossons() {
        assert_eq!(srgb(1.0, 0.0, 0.0), [255; 3]);
        assert_eq!(srgb(0.0, 0.0, 0.0), [0; 3]);
        // sRGB's blue is L = 0.4520, C = 0.3132, h = 264.05° there
        let [red, green, blue] = srgb(0.4520, 0.3132, 264.05f32.to_radians());
        assert!(red < 8 && green < 8 && blue > 252, "{red} {green} {blue}");
    }

    #[test]
    fn shades_darken_with_the_value_and_stay_blue() {
        let luminance = |value: f32| {
            let number = u32::from_str_radix(&shade(value)[1..], 16).unwrap();
            let [_, red, green, blue] = number.to_be_bytes().map(f32::from);
            assert!(blue >= green && green >= red, "{value}: {red} {green} {blue}");
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let luminances: Vec<f32> = (0..=20).map(|step| luminance(step as f32 / 20.0)).collect();
        assert!(luminances.is_sorted_by(|lighter, darker| lighter > darker), "{luminances:?}");
        assert_eq!(shade(2.0), shade(1.0));
    }
}
