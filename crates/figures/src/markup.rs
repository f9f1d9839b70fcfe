//! Text and pictures inside SVG and HTML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `text` as it may stand in XML and HTML, in an element or between double quotes.
///
/// XML knows no way to write most control characters: they become the pictures Unicode has for
/// them (␀, ␊), and what has none becomes the replacement character.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\0'..='\u{1f}' => escaped.extend(char::from_u32(0x2400 + u32::from(character))),
            '\u{7f}' => escaped.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The bytes of a file as an address, for an `<image>` or the like: the SVG or HTML then needs no other file.
pub fn data_url(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
}

/// The [`data_url`] of a PNG file.
pub fn png_url(bytes: &[u8]) -> String {
    data_url("image/png", bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text_and_control_characters_become_pictures() {
        assert_eq!(escape("<a b=\"c\">'&"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
        assert_eq!(escape("a\0b\nc\u{7f}\u{85}\u{ffff}"), "a␀b␊c␡\u{fffd}\u{fffd}");
        assert_eq!(escape("狗 ß"), "狗 ß");
    }
}
