//! EfficientNet-Lite0 with its published weights gives what PyTorch gives, on a picture of our own
//! (fixtures/efficientnet.py). The weights, 18 MB, are not in the repository: without
//! `$CANDLE_RNN_DATA/efficientnet-lite0/efficientnet-lite0.safetensors` there is nothing to test.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use image_features::{EfficientNetLite0, Picture, batch};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    logits: Vec<f32>,
    regions_sum: f32,
    global_sum: f32,
}

fn weights() -> Option<PathBuf> {
    let root = PathBuf::from(std::env::var_os("CANDLE_RNN_DATA")?);
    // A test runs in the folder of its crate, the variable is meant from that of the workspace.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = workspace.join(root).join("efficientnet-lite0/efficientnet-lite0.safetensors");
    path.is_file().then_some(path)
}

#[test]
fn logits_are_pytorchs() -> Result<(), Box<dyn std::error::Error>> {
    let Some(path) = weights() else {
        eprintln!("skipped: the weights of EfficientNet-Lite0 are not in $CANDLE_RNN_DATA");
        return Ok(());
    };
    let published = candle_core::safetensors::load(path, &Device::Cpu)?;
    let folded = EfficientNetLite0::folded(&published)?;
    let vb = VarBuilder::from_tensors(folded, DType::F32, &Device::Cpu);
    let network = EfficientNetLite0::new(vb.clone())?;
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let picture = Picture::read(&fixtures.join("efficientnet.png"))?;
    let pixels = EfficientNetLite0::preprocessing().pixels(&picture)?;
    // Beside another picture, which changes nothing.
    let other = vec![0.0; pixels.len()];
    let seen = network.forward(&batch(&[pixels, other], 224, &Device::Cpu)?)?;
    let logits = EfficientNetLite0::classes(vb)?.forward(&seen.global)?.get(0)?.to_vec1::<f32>()?;
    let expected: Expected =
        serde_json::from_str(&std::fs::read_to_string(fixtures.join("efficientnet.json"))?)?;
    let sum = |tensor: &Tensor| tensor.get(0)?.sum_all()?.to_scalar::<f32>();
    assert_eq!(seen.regions.dims(), [2, 7, 7, 320]);
    for (ours, theirs) in
        [(sum(&seen.regions)?, expected.regions_sum), (sum(&seen.global)?, expected.global_sum)]
    {
        assert!((ours - theirs).abs() < 1e-4 * theirs.abs(), "{ours} against {theirs}");
    }
    for (class, (ours, theirs)) in logits.iter().zip(&expected.logits).enumerate() {
        assert!((ours - theirs).abs() < 1e-3, "class {class}: {ours} against {theirs}");
    }
    Ok(())
}
