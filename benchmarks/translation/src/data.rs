//! Symbols that all peers read from one file, so that they have the same batches.
//!
//! A file of safetensors, all of i64: `vocab [1]`; `end [1]`, which begins and ends each sentence;
//! `train.0.source [rows, time]` with `train.0.source_lengths [rows]`, and the same of the target, for
//! each batch; `test.source [rows, time]` and `test.source_lengths`. Each sentence has its end; after
//! it come further ends.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use candle_rnn::Lengths;
use flate2::read::MultiGzDecoder;
use rnn_text::{Tokenizer, Units};

/// A longer sentence is not trained on.
const LONGEST: usize = 60;

/// Line-aligned texts, gzipped ones too.
#[derive(clap::Args)]
pub struct Texts {
    /// Sentences of the source to train on, one a line
    #[arg(long)]
    source: PathBuf,
    /// Their translations
    #[arg(long)]
    target: PathBuf,
    /// Sentences of the source to translate
    #[arg(long)]
    test: PathBuf,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
    /// Symbols of the joint vocabulary, byte-pair encoding of all texts
    #[arg(long, default_value_t = 6000)]
    vocab: usize,
    /// A vocabulary that there is already
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Batches, from the whole range of lengths
    #[arg(long, default_value_t = 40)]
    batches: usize,
    /// Target symbols of a batch at most, padding included
    #[arg(long, default_value_t = 1000)]
    tokens: usize,
    /// Sentences to translate at most
    #[arg(long, default_value_t = usize::MAX)]
    sentences: usize,
    /// Write all in lower case
    #[arg(long)]
    lowercase: bool,
}

impl Texts {
    pub fn write(&self) -> Result<()> {
        let [source, target, test] = [&self.source, &self.target, &self.test].map(|path| self.read(path));
        let (source, target, test) = (source?, target?, test?);
        ensure!(
            source.len() == target.len(),
            "{} and {} sentences are no translations of each other",
            source.len(),
            target.len()
        );
        let tokenizer = match &self.tokenizer {
            Some(path) => Tokenizer::load(path)?,
            None => Tokenizer::train(Units::Bpe, &(source.concat() + &target.concat()), self.vocab)?,
        };
        let encode = |lines: &[String]| -> Result<Vec<Vec<u32>>> {
            Ok(lines.iter().map(|line| tokenizer.encode(line)).collect::<Result<_, _>>()?)
        };
        let pairs: Vec<_> = encode(&source)?.into_iter().zip(encode(&target)?).collect();
        let batches = spread(batches(pairs, self.tokens), self.batches);
        let test: Vec<_> = encode(&test)?.into_iter().take(self.sentences).collect();

        let one = |number: usize| Tensor::new(&[number as i64], &Device::Cpu);
        let end = tokenizer.encode("\n")?[0];
        let mut tensors = HashMap::from([
            ("vocab".into(), one(tokenizer.vocab_size())?),
            ("end".into(), one(end as usize)?),
        ]);
        for (number, (sources, targets)) in batches.into_iter().enumerate() {
            put(&mut tensors, &format!("train.{number}.source"), &sources, end)?;
            put(&mut tensors, &format!("train.{number}.target"), &targets, end)?;
        }
        put(&mut tensors, "test.source", &test, end)?;
        Ok(candle_core::safetensors::save(&tensors, &self.out)?)
    }

    /// The lines of a file, each with its end.
    fn read(&self, path: &Path) -> Result<Vec<String>> {
        let read = || {
            let mut text = String::new();
            let mut file = std::fs::File::open(path)?;
            match path.extension().is_some_and(|extension| extension == "gz") {
                true => MultiGzDecoder::new(file).read_to_string(&mut text)?,
                false => file.read_to_string(&mut text)?,
            };
            std::io::Result::Ok(text)
        };
        let text = read().with_context(|| format!("cannot read {}", path.display()))?;
        let text = if self.lowercase { text.to_lowercase() } else { text };
        Ok(text.lines().map(|line| format!("{}\n", line.trim())).collect())
    }
}

type Pair = (Vec<u32>, Vec<u32>);
type Batch = (Vec<Vec<u32>>, Vec<Vec<u32>>);

/// Sentences of about the same length side by side, of at most `tokens` target symbols.
fn batches(mut pairs: Vec<Pair>, tokens: usize) -> Vec<Batch> {
    pairs.retain(|(source, target)| source.len().max(target.len()) < LONGEST);
    pairs.sort_by_key(|(source, target)| (target.len(), source.len()));
    let mut batches: Vec<Batch> = vec![Batch::default()];
    for (source, target) in pairs {
        // The longest target comes last.
        if batches.last().is_some_and(|(sources, _)| (sources.len() + 1) * target.len() > tokens) {
            batches.push(Batch::default());
        }
        if let Some((sources, targets)) = batches.last_mut() {
            sources.push(source);
            targets.push(target);
        }
    }
    batches
}

/// So many batches, as far from each other as they can be.
fn spread(batches: Vec<Batch>, count: usize) -> Vec<Batch> {
    let all = batches.len();
    let chosen = |&number: &usize| number * count / all != (number + 1) * count / all;
    let numbered = batches.into_iter().enumerate();
    numbered.filter(|(number, _)| count >= all || chosen(number)).map(|(_, batch)| batch).collect()
}

fn put(tensors: &mut HashMap<String, Tensor>, name: &str, rows: &[Vec<u32>], end: u32) -> Result<()> {
    let time = rows.iter().map(Vec::len).max().unwrap_or(0);
    let padded = rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat(end)).take(time));
    let padded: Vec<i64> = padded.map(i64::from).collect();
    let lengths: Vec<i64> = rows.iter().map(|row| row.len() as i64).collect();
    tensors.insert(name.into(), Tensor::from_vec(padded, (rows.len(), time), &Device::Cpu)?);
    tensors.insert(format!("{name}_lengths"), Tensor::from_vec(lengths, rows.len(), &Device::Cpu)?);
    Ok(())
}

/// A file that [`Texts`] has written.
pub struct Data {
    pub vocab: usize,
    pub end: u32,
    tensors: HashMap<String, Tensor>,
}

impl Data {
    pub fn load(path: &Path) -> Result<Self> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu);
        let tensors = tensors.with_context(|| format!("cannot read {}", path.display()))?;
        let number = |name: &str| -> Result<i64> {
            Ok(tensors.get(name).with_context(|| format!("no {name}"))?.to_vec1::<i64>()?[0])
        };
        Ok(Self { vocab: number("vocab")? as usize, end: number("end")? as u32, tensors })
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        (0..).take_while(|number| self.tensors.contains_key(&format!("train.{number}.source"))).count()
    }

    /// Sentences of a name: symbols `[rows, time]` (u32), and how many of each are the sentence.
    pub fn sentences(&self, name: &str) -> Result<(Tensor, Lengths)> {
        let get = |name: &str| self.tensors.get(name).with_context(|| format!("no {name}"));
        let symbols = get(name)?.to_dtype(DType::U32)?;
        let lengths = get(&format!("{name}_lengths"))?.to_vec1::<i64>()?;
        let lengths = lengths.into_iter().map(|length| length as usize).collect();
        let time = symbols.dim(1)?;
        Ok((symbols, Lengths::new(lengths, time)?))
    }
}
