use crate::card::{Card, RemoteFile, Source};

/// 40,000 lines of Shakespeare, the usual yardstick of character-level models.
pub static TINYSHAKESPEARE: Card = Card {
    name: "tinyshakespeare",
    title: "40,000 lines of Shakespeare",
    about: "Passages from Shakespeare's plays in one ASCII file: 1,115,394 characters, 65 \
            distinct.\nAndrej Karpathy put it together for char-rnn (2015).",
    licence: "public domain (the text)",
    home: "https://github.com/karpathy/char-rnn",
    split: "first 90 % train (1,003,854 characters), last 10 % validation (111,540)",
    applications: &["language-model"],
    source: Source::Remote(&[RemoteFile {
        file: "input.txt",
        url: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        bytes: Some(1_115_394),
        sha256: Some("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
    }]),
};
