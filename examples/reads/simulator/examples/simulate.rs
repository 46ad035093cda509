//! Simulates reads of a FASTA file to standard output: `simulate FILE PAIRS SEED [LENGTH]`. For
//! measuring, next to wgsim with the same numbers; the app itself streams from object storage.

use std::io::{Read, Write};

use reads_simulator::{
    Builder, Diploid, Loader, Mates, Pairs, Params, Rng, Sequence, Template, fai::Entry, mutate,
    share,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, pairs, seed] = arguments.as_slice() else {
        return Err("usage: simulate FILE PAIRS SEED".into());
    };
    let params = Params {
        pairs: pairs.parse()?,
        seed: seed.parse()?,
        ..Params::default()
    };
    params.check()?;
    let mut builder = Builder::new();
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => builder.push(&piece[..count])?,
        }
    }
    simulate(&builder.finish()?, path, &params)
}

fn simulate(
    entries: &[Entry],
    path: &str,
    params: &Params,
) -> Result<(), Box<dyn std::error::Error>> {
    use std::io::{Seek, SeekFrom};
    let mut stdout = std::io::stdout().lock();
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 64 * 1024];
    let mut out = Vec::with_capacity(128 * 1024);
    let total = entries.iter().map(|entry| entry.length).sum();
    let mut rng = Rng::new(params.seed);
    let longest = entries.iter().map(|entry| entry.length).max().unwrap_or(0) as usize;
    let mut sequence = Sequence::with_capacity(longest);
    let mut diploid = Diploid::with_capacity(longest, params);
    for entry in entries
        .iter()
        .filter(|entry| entry.length >= params.shortest_sequence())
    {
        let Some(last) = entry.last_byte() else {
            continue;
        };
        file.seek(SeekFrom::Start(entry.offset))?;
        let mut left = (last - entry.offset + 1) as usize;
        let mut loader = Loader::new(entry, sequence);
        while left > 0 {
            let want = left.min(piece.len());
            file.read_exact(&mut piece[..want])?;
            loader.push(&piece[..want])?;
            left -= want;
        }
        sequence = loader.finish()?;
        let loaded = std::time::Instant::now();
        diploid = mutate(&sequence, params, &mut rng, diploid);
        eprintln!(
            "{}: {} variants in {:?}",
            entry.name,
            diploid.len(),
            loaded.elapsed()
        );
        let count = share(entry.length, total, params.pairs);
        let mut pairs = Pairs::new(
            Template::whole(&entry.name, &sequence, &diploid),
            0..count,
            params,
            Mates::Both,
            &mut rng,
        );
        while pairs.fill(&mut out, 64 * 1024)? {
            stdout.write_all(&out)?;
            out.clear();
        }
    }
    stdout.write_all(&out)?;
    Ok(())
}
