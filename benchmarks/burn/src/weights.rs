//! The numbers that every worker computes with, in burn's layout: a layer has a matrix for each
//! gate, with a row for each input.

use burn::module::Param;
use burn::nn::{Embedding, GateController, Gru, Linear, Lstm, Rnn};
use burn::tensor::{Device, Tensor, TensorData};
use worker::numbers;

pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn embedding(layer: &mut Embedding, device: &Device) {
    let shape = layer.weight.val().dims();
    let values = numbers::fill("embedding.weight", shape[0] * shape[1], 1.0);
    layer.weight = Param::from_tensor(tensor(values, shape, device));
}

/// The layer whose scores these are reads `hidden` numbers.
pub fn output(layer: &mut Linear, hidden: usize, device: &Device) {
    set(layer, "output.weight", "output.bias", hidden, (0, 1), device);
}

pub fn lstm(layer: &mut Lstm, number: usize, device: &Device) {
    let forget = layer.forget_gate.as_mut().expect("the forget gate is not coupled");
    gates(
        [&mut layer.input_gate, forget, &mut layer.cell_gate, &mut layer.output_gate],
        number,
        layer.d_hidden,
        device,
    );
}

pub fn gru(layer: &mut Gru, device: &Device) {
    let gates_in_order = [&mut layer.reset_gate, &mut layer.update_gate, &mut layer.new_gate];
    gates(gates_in_order, 0, layer.d_hidden, device);
}

pub fn elman(layer: &mut Rnn, device: &Device) {
    gates([&mut layer.gate], 0, layer.d_hidden, device);
}

/// `gates` in PyTorch's order.
fn gates<const N: usize>(gates: [&mut GateController; N], number: usize, hidden: usize, device: &Device) {
    for (index, gate) in gates.into_iter().enumerate() {
        for (layer, part) in [(&mut gate.input_transform, "ih"), (&mut gate.hidden_transform, "hh")] {
            let weight = format!("rnn.weight_{part}_l{number}");
            let bias = format!("rnn.bias_{part}_l{number}");
            set(layer, &weight, &bias, hidden, (index, N), device);
        }
    }
}

/// Gate `index` of `count` in PyTorch's matrix `weight`, which has a row for each output.
fn set(
    layer: &mut Linear,
    weight: &str,
    bias: &str,
    hidden: usize,
    (index, count): (usize, usize),
    device: &Device,
) {
    let [inputs, outputs] = layer.weight.val().dims();
    let fill = |name, width| {
        let all = numbers::fill(name, count * outputs * width, numbers::scale(name, hidden));
        all[index * outputs * width..][..outputs * width].to_vec()
    };
    let transposed = tensor(fill(weight, inputs), [outputs, inputs], device).transpose();
    // Through the host, so that the transposed order is the one in memory, as burn has it otherwise.
    layer.weight = Param::from_tensor(Tensor::from_data(transposed.into_data(), device));
    layer.bias = Some(Param::from_tensor(tensor(fill(bias, 1), [outputs], device)));
}
