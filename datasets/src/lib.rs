//! Data sets: what each is, where it comes from, and how to get it.
//!
//! Every set has a [`Card`]. The sets that can be redistributed freely and are
//! small are built into the program ([`embedded`]); the others are downloaded
//! by [`get`], resumed after a cut, and visible only once they are whole, with
//! the SHA-256 on the card. All of them live below one [`DataRoot`].

pub mod card;
pub mod cards;
pub mod data_root;
pub mod download;
pub mod embedded;
mod sha256;
mod unpack;

pub use card::{Archive, Card, EmbeddedFile, MadeFiles, RemoteFile, Source};
pub use data_root::{DataRoot, NoDataRoot};
pub use download::{DownloadError, How, Obtained, get};
