//! Masks over time and bands (Park et al. 2019, *SpecAugment*).

use std::ops::Range;

use audio_features::Features;
use candle_rnn::Generator;

use super::config::MaskConfig;

/// Sets random frames and bands to zero, the mean of normalised features.
///
/// A width is drawn from 0 to the widest that is allowed, then a place where it fits, all being equally
/// likely. A time mask is at most `time_share` of the frames, divided by the number of time masks: in
/// the paper each may be that wide. Masks may overlap.
///
/// Features followed by their deltas are several blocks of `bands` numbers; a band is masked in each.
pub fn mask(features: &mut Features, bands: usize, config: &MaskConfig, generator: &mut Generator) {
    let frames = features.frames();
    let share = config.time_share * frames as f64 / config.time_masks.max(1) as f64;
    for _ in 0..config.time_masks {
        let masked = span(frames, config.time_width.min(share as usize), generator);
        for row in features.rows_mut().skip(masked.start).take(masked.len()) {
            row.fill(0.0);
        }
    }
    for _ in 0..config.band_masks {
        let masked = span(bands, config.band_width, generator);
        for row in features.rows_mut() {
            for block in row.chunks_exact_mut(bands.max(1)) {
                block[masked.clone()].fill(0.0);
            }
        }
    }
}

/// A random part of `0..length`, at most `widest` long.
fn span(length: usize, widest: usize, generator: &mut Generator) -> Range<usize> {
    let width = generator.below(widest.min(length) + 1);
    let start = generator.below(length - width + 1);
    start..start + width
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ones(frames: usize, dimension: usize) -> Features {
        Features::new(vec![1.0; frames * dimension], dimension).unwrap()
    }

    /// Which frames, and which columns of the frames that are left, are all zero.
    fn zeros(features: &Features) -> (Vec<usize>, Vec<usize>) {
        let blank = |row: &[f32]| row.iter().all(|&x| x == 0.0);
        let frames = (0..features.frames()).filter(|&t| blank(features.row(t).unwrap())).collect();
        let rest: Vec<&[f32]> = features.rows().filter(|row| !blank(row)).collect();
        let bands = (0..features.dimension()).filter(|&b| rest.iter().all(|row| row[b] == 0.0)).collect();
        (frames, bands)
    }

    #[test]
    fn one_mask_of_each_kind_is_one_stretch_of_every_allowed_width() {
        let config =
            MaskConfig { time_masks: 1, time_width: 5, time_share: 1.0, band_masks: 1, band_width: 3 };
        let mut generator = Generator::new(1);
        let (mut time_widths, mut band_widths, mut starts) = ([0; 6], [0; 4], [0; 50]);
        for _ in 0..1000 {
            let mut features = ones(50, 20);
            mask(&mut features, 20, &config, &mut generator);
            let (frames, bands) = zeros(&features);
            for stretch in [&frames, &bands] {
                assert!(stretch.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
            let kept = features.values().iter().filter(|&&x| x == 1.0).count();
            assert_eq!(kept, (50 - frames.len()) * (20 - bands.len()));
            time_widths[frames.len()] += 1;
            band_widths[bands.len()] += 1;
            frames.first().inspect(|&&start| starts[start] += 1);
        }
        assert!(time_widths.iter().all(|&count| count > 120), "{time_widths:?}");
        assert!(band_widths.iter().all(|&count| count > 200), "{band_widths:?}");
        assert!(starts[..46].iter().all(|&count| count > 0), "{starts:?}");
    }

    #[test]
    fn a_band_is_masked_in_its_deltas_too() {
        let config = MaskConfig { time_masks: 0, band_masks: 1, band_width: 4, ..MaskConfig::default() };
        let mut features = ones(3, 30);
        mask(&mut features, 10, &config, &mut Generator::new(5));
        let (_, bands) = zeros(&features);
        let first: Vec<usize> = bands.iter().copied().filter(|&band| band < 10).collect();
        assert!(!first.is_empty());
        let expected: Vec<usize> =
            (0..3).flat_map(|block| first.iter().map(move |b| 10 * block + b)).collect();
        assert_eq!(bands, expected);
    }

    proptest! {
        #[test]
        fn time_masks_cover_no_more_than_their_share_and_bands_no_more_than_their_width(
            frames in 0usize..200, dimension in 1usize..50, time_masks in 0usize..4, time_width in 0usize..300,
            time_share in 0.0f64..1.0, band_masks in 0usize..3, band_width in 0usize..10, seed: u64
        ) {
            let config = MaskConfig { time_masks, time_width, time_share, band_masks, band_width };
            let mut features = ones(frames, dimension);
            mask(&mut features, dimension, &config, &mut Generator::new(seed));
            if band_masks * band_width < dimension {
                let (blank, bands) = zeros(&features);
                prop_assert!(blank.len() as f64 <= time_share * frames as f64);
                prop_assert!(blank.len() <= time_masks * time_width);
                prop_assert!(blank.len() == frames || bands.len() <= band_masks * band_width);
            }
            prop_assert!(features.values().iter().all(|&x| x == 0.0 || x == 1.0));
        }
    }
}
