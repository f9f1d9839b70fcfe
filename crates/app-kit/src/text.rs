//! Bytes of a file as text.

use std::path::Path;

use anyhow::{Result, anyhow};

/// The bytes of the file `path` as text, without a byte order mark.
///
/// ```
/// # use std::path::Path;
/// let error = app_kit::text::utf8(b"gut\nsch\xf6n".into(), Path::new("a.txt")).unwrap_err();
/// assert!(error.to_string().starts_with("line 2 of a.txt is not UTF-8"));
/// ```
///
/// # Errors
/// Bytes that are not UTF-8, by file and line.
pub fn utf8(bytes: Vec<u8>, path: &Path) -> Result<String> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        anyhow!("line {line} of {} is not UTF-8: convert the file first", path.display())
    })?;
    const MARK: char = '\u{feff}';
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_at_the_front_is_left_out_and_nothing_else() {
        let text = utf8("\u{feff}a\u{feff}".into(), Path::new("a.txt")).unwrap();
        assert_eq!(text, "a\u{feff}");
    }
}
