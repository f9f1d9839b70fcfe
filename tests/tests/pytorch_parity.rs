//! Outputs, final states and gradients agree with PyTorch's, to 1e-5 in f32.
//!
//! The fixtures and what is in them: `fixtures/make_fixtures.py`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_rnn::{
    Activation, AttentionRnn, AttentionRnnConfig, AttentionScore, Cell, Ctc, Lengths, MatmulPrecision, Mode,
    Parameters, Rnn, RnnConfig, State,
};
use end_to_end::largest_difference;

const TOLERANCE: f64 = 1e-5;

/// One case of a fixture file; knows how to compare and says what differs.
struct Case {
    name: String,
    tensors: HashMap<String, Tensor>,
}

impl Case {
    fn get(&self, key: &str) -> &Tensor {
        self.tensors.get(key).unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }

    fn weights(&self) -> HashMap<String, Tensor> {
        let weights = self.tensors.iter();
        weights.filter_map(|(key, w)| Some((key.strip_prefix("w/")?.into(), w.clone()))).collect()
    }

    fn compare(&self, key: &str, ours: &Tensor) -> Result<()> {
        let theirs = self.get(key);
        assert_eq!(ours.dims(), theirs.dims(), "{}: shape of {key}", self.name);
        let difference = largest_difference(ours, theirs)?;
        assert!(difference <= TOLERANCE, "{}: {key} differs by {difference:.1e}", self.name);
        Ok(())
    }
}

/// Loads the case into an [`Rnn`], runs it by `forward` and by `reference`, and compares.
fn check(case: &Case, config: &RnnConfig) -> Result<()> {
    let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
    let rnn = Rnn::new(config, parameters.builder())?;
    let weights = case.weights();
    assert_eq!(weights.len(), parameters.named().len(), "{}: number of weights", case.name);
    parameters.assign(&weights)?;

    let lengths = match case.tensors.get("lengths") {
        Some(lengths) => {
            let rows = lengths.to_vec1::<i64>()?.into_iter().map(|length| length as usize);
            Some(Lengths::new(rows.collect(), case.get("x").dim(1)?)?)
        }
        None => None,
    };
    let x = Var::from_tensor(case.get("x"))?;
    let h0 = Var::from_tensor(case.get("h0"))?;
    let c0 = case.tensors.get("c0").map(Var::from_tensor).transpose()?;
    let places: Vec<(usize, usize)> =
        (0..config.layers).flat_map(|layer| (0..config.directions()).map(move |d| (layer, d))).collect();

    for reference in [false, true] {
        let state = State::from_parts(config, &h0, c0.as_deref())?;
        let (output, last) = match reference {
            false => rnn.forward(&x, lengths.as_ref(), Some(&state), &mut Mode::Eval)?,
            true => rnn.reference(&x, lengths.as_ref(), Some(&state), &mut Mode::Eval)?,
        };
        let hidden = places.iter().map(|&(l, d)| last.hidden(l, d)).collect::<Result<Vec<_>>>()?;
        let hidden = Tensor::stack(&hidden, 0)?;
        case.compare("output", &output)?;
        case.compare("h_n", &hidden)?;
        let mut loss =
            ((output * case.get("up/output"))?.sum_all()? + (hidden * case.get("up/h_n"))?.sum_all()?)?;
        if c0.is_some() {
            let memory =
                places.iter().map(|&(l, d)| last.memory(l, d)).collect::<Result<Option<Vec<_>>>>()?;
            let memory = Tensor::stack(&memory.expect("an LSTM has a cell state"), 0)?;
            case.compare("c_n", &memory)?;
            loss = (loss + (memory * case.get("up/c_n"))?.sum_all()?)?;
        }

        let gradients = loss.backward()?;
        let inputs = [("x", Some(&x)), ("h0", Some(&h0)), ("c0", c0.as_ref())];
        let inputs = inputs.into_iter().filter_map(|(name, var)| Some((name.to_string(), var?.clone())));
        let weights = parameters.named().into_iter().map(|(name, var)| (format!("w/{name}"), var));
        for (name, variable) in inputs.chain(weights) {
            let gradient = gradients.get(&variable);
            let gradient = gradient.unwrap_or_else(|| panic!("{}: no gradient of {name}", case.name));
            case.compare(&format!("g/{name}"), gradient)?;
        }
    }
    Ok(())
}

/// The eight cases of one file.
fn cases(kind: &str) -> Result<HashMap<String, HashMap<String, Tensor>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{kind}.safetensors"));
    let mut cases: HashMap<String, HashMap<String, Tensor>> = HashMap::new();
    for (key, tensor) in candle_core::safetensors::load(path, &Device::Cpu)? {
        let (case, key) = key.split_once('/').expect("keys are CASE/NAME");
        cases.entry(case.to_string()).or_default().insert(key.to_string(), tensor);
    }
    assert_eq!(cases.len(), 8);
    Ok(cases)
}

/// Loads the case into an [`AttentionRnn`], runs it by `forward` and by `reference`, and compares.
fn check_attention(case: &Case, config: &AttentionRnnConfig) -> Result<()> {
    let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
    let layer = AttentionRnn::new(config, parameters.builder())?;
    parameters.assign(&case.weights())?;
    assert_eq!(case.weights().len(), parameters.named().len(), "{}: number of weights", case.name);
    let lengths = case.get("lengths").to_vec1::<i64>()?.into_iter().map(|length| length as usize);
    let inputs = ["x", "state", "memory"].map(|name| Var::from_tensor(case.get(name)));
    let [x, state, memory] = inputs;
    let (x, state, memory) = (x?, state?, memory?);
    let lengths = Lengths::new(lengths.collect(), memory.dim(1)?)?;
    for reference in [false, true] {
        let memory_with_keys = layer.memory(&memory, &lengths)?;
        let output = match reference {
            false => layer.forward(&x, None, &state, &memory_with_keys)?,
            true => layer.reference(&x, None, &state, &memory_with_keys)?,
        };
        case.compare("output", &output)?;
        let gradients = (output * case.get("up/output"))?.sum_all()?.backward()?;
        let inputs = [("x", &x), ("state", &state), ("memory", &memory)];
        let inputs = inputs.into_iter().map(|(name, variable)| (name.to_string(), variable.clone()));
        let weights = parameters.named().into_iter().map(|(name, var)| (format!("w/{name}"), var));
        for (name, variable) in inputs.chain(weights) {
            let gradient = gradients.get(&variable);
            let gradient = gradient.unwrap_or_else(|| panic!("{}: no gradient of {name}", case.name));
            case.compare(&format!("g/{name}"), gradient)?;
        }
    }
    Ok(())
}

#[test]
fn attention_agrees_with_pytorch() -> Result<()> {
    for (name, tensors) in cases("attention")? {
        let key = tensors["w/attention.key.weight"].dim(0)?;
        let cell = if name.starts_with("lstm") { Cell::lstm() } else { Cell::Gru };
        let config = AttentionRnnConfig {
            cell,
            input_size: tensors["x"].dim(2)?,
            hidden_size: tensors["w/weight_hh_l0"].dim(0)? / cell.gates(),
            memory_size: tensors["memory"].dim(2)?,
            output_size: tensors["output"].dim(2)?,
            score: match name.contains(".additive.") {
                true => AttentionScore::Additive(key),
                false => AttentionScore::Multiplicative,
            },
            input_feeding: name.ends_with(".feeding"),
            gate: false,
            matmul: MatmulPrecision::Full,
        };
        check_attention(&Case { name, tensors }, &config)?;
    }
    Ok(())
}

/// A loss is compared relative to its size.
#[test]
fn connectionist_temporal_classification_agrees_with_pytorch() -> Result<()> {
    for (name, tensors) in cases("ctc")? {
        let zero_infinity = name.ends_with(".zero");
        let case = Case { name, tensors };
        let sizes = |key: &str| -> Result<Vec<usize>> {
            Ok(case.get(key).to_vec1::<i64>()?.into_iter().map(|length| length as usize).collect())
        };
        let targets: Vec<u32> = case.get("targets").to_dtype(DType::U32)?.to_vec1()?;
        let logits = Var::from_tensor(case.get("x"))?;
        let (_, time, symbols) = logits.dims3()?;
        let blank = if case.name.starts_with("last") { symbols as u32 - 1 } else { 0 };
        let lengths = Lengths::new(sizes("lengths")?, time)?;
        let ctc = Ctc { blank, zero_infinity };
        let loss = ctc.forward(&logits, &lengths, &targets, &sizes("target_lengths")?)?;
        assert_eq!(loss.impossible.len(), usize::from(zero_infinity), "{}", case.name);
        let theirs: f32 = case.get("loss").to_scalar()?;
        let relative = (loss.sum.to_scalar::<f32>()? / theirs - 1.).abs();
        assert!(f64::from(relative) <= TOLERANCE, "{}: the loss differs by {relative:.1e}", case.name);
        let gradients = loss.sum.backward()?;
        case.compare("g/x", gradients.get(&logits).expect("it depends on the logits"))?;
    }
    Ok(())
}

/// All cases of one file: 1 and 2 layers, 1 and 2 directions, with and without lengths.
fn check_file(kind: &str, cell: Cell) -> Result<()> {
    for (name, tensors) in cases(kind)? {
        let hidden = tensors["w/weight_hh_l0"].dim(0)? / cell.gates();
        let config = RnnConfig {
            layers: if name.starts_with("l2") { 2 } else { 1 },
            bidirectional: name.contains(".bi."),
            ..RnnConfig::new(cell, tensors["x"].dim(2)?, hidden)
        };
        check(&Case { name: format!("{kind} {name}"), tensors }, &config)?;
    }
    Ok(())
}

#[test]
fn elman_with_tanh_agrees_with_pytorch() -> Result<()> {
    check_file("rnn_tanh", Cell::tanh())
}

#[test]
fn elman_with_relu_agrees_with_pytorch() -> Result<()> {
    check_file("rnn_relu", Cell::Elman { activation: Activation::Relu, order: 1 })
}

#[test]
fn gru_agrees_with_pytorch() -> Result<()> {
    check_file("gru", Cell::Gru)
}

#[test]
fn lstm_agrees_with_pytorch() -> Result<()> {
    check_file("lstm", Cell::lstm())
}

#[test]
fn lstm_with_projection_agrees_with_pytorch() -> Result<()> {
    check_file("lstm_projected", Cell::Lstm { projection: Some(3) })
}
