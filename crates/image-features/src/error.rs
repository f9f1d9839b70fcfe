//! What can be wrong with a picture.

/// Why a picture cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are of no format that is read here.
    #[error("it is neither a PNG nor a JPEG file: convert it to one of them")]
    Format,
    /// The file is damaged.
    #[error("it is damaged, or of a kind that is not read: {0}")]
    Decode(image::ImageError),
    /// A picture of more pixels than are read.
    #[error(
        "it is {width} by {height} pixels; {most} million pixels are the most that are read: make it smaller"
    )]
    TooLarge {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// How many are read, in millions.
        most: u64,
    },
    /// A picture without pixels, or with another number of them than its sides say.
    #[error("a picture of {width} by {height} pixels has {found} numbers")]
    Shape {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// Numbers that there are, three a pixel.
        found: usize,
    },
    /// It cannot be brought to another size.
    #[error("it cannot be brought to {size} by {size} pixels: {reason}")]
    Resize {
        /// The side it was to have.
        size: usize,
        /// What is wrong.
        reason: String,
    },
    /// A setting outside its range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A file that cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}
