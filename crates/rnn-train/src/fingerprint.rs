//! By what a resumed run knows its data again.

/// CRC-32C of pairs of texts: sources and targets, names and what is said.
pub fn fingerprint<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> u32 {
    let parts = pairs.into_iter().flat_map(|(first, second)| [first, "\t", second, "\n"]);
    parts.fold(0, |crc, part| crc32c::crc32c_append(crc, part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_checksum_of_a_table() {
        assert_eq!(fingerprint([("a", "b c"), ("", "d")]), crc32c::crc32c(b"a\tb c\n\td\n"));
        assert_ne!(fingerprint([("a", "b")]), fingerprint([("b", "a")]));
    }
}
