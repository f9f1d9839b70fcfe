//! The first CUDA device against the CPU: `cargo test --release --features cuda -p candle-rnn`.

#![cfg(feature = "cuda")]

use candle_core::{DType, Device, Result, Tensor};
use candle_rnn::{Activation, Cell, CrossEntropy, Lengths, Linear, Mode, Parameters, Rnn, RnnConfig};

/// Loss and gradients, by name, of a bidirectional network over a padded batch.
fn trained_on(device: &Device, cell: Cell) -> Result<Vec<(String, Vec<f32>)>> {
    let parameters = Parameters::new(5, DType::F32, device);
    let vb = parameters.builder();
    let config = RnnConfig { layers: 2, bidirectional: true, ..RnnConfig::new(cell, 8, 16) };
    let rnn = Rnn::new(&config, vb.pp("rnn"))?;
    let head = Linear::new(rnn.output_size(), 7, true, vb.pp("head"))?;
    let numbers: Vec<f32> = (0..3 * 9 * 8).map(|i| (i as f32 * 0.37).sin()).collect();
    let xs = Tensor::from_vec(numbers, (3, 9, 8), device)?;
    let targets: Vec<u32> = (0..27).map(|i| i % 7).collect();
    let targets = Tensor::from_vec(targets, (3, 9), device)?;
    let lengths = Lengths::new(vec![9, 2, 6], 9)?;
    let (ys, _) = rnn.forward(&xs, Some(&lengths), None, &mut Mode::Eval)?;
    let loss = CrossEntropy::default().of_linear(&head, &ys, &targets, &Mode::Eval)?.sum;
    let gradients = loss.backward()?;
    let numbers = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.flatten_all()?.to_vec1();
    let mut found = vec![("loss".to_string(), numbers(&loss)?)];
    for (name, variable) in parameters.named() {
        found.push((name, numbers(gradients.get(&variable).expect("every variable has a gradient"))?));
    }
    Ok(found)
}

#[test]
fn a_gpu_gives_the_loss_and_the_gradients_of_the_cpu() -> Result<()> {
    let Ok(gpu) = Device::new_cuda(0) else {
        eprintln!("there is no CUDA device: nothing was compared");
        return Ok(());
    };
    let relu = Cell::Elman { activation: Activation::Relu, order: 2 };
    for cell in [Cell::tanh(), relu, Cell::Gru, Cell::lstm(), Cell::Lstm { projection: Some(5) }] {
        for ((name, ours), (_, truth)) in
            trained_on(&gpu, cell)?.into_iter().zip(trained_on(&Device::Cpu, cell)?)
        {
            for (ours, truth) in ours.into_iter().zip(truth) {
                assert!((ours - truth).abs() < 1e-3 * (1. + truth.abs()), "{cell:?} {name}: {ours} {truth}");
            }
        }
    }
    Ok(())
}
