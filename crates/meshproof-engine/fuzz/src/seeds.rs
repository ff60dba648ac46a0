//! `seeds FILE.mpt… FOLDER`: the tables of files that `meshproof compile` wrote, one by one, for the fuzzer to begin with.

use std::path::Path;

use meshproof_engine::Bundle;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let folder = files.pop().ok_or("usage: seeds FILE.mpt… FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let mut written = 0;
    for file in files {
        let bytes = std::fs::read(&file)?;
        let bundle = Bundle::open(&bytes)?;
        for table in (0..bundle.tables().len()).filter_map(|at| bundle.bytes_of(at)) {
            std::fs::write(Path::new(&folder).join(format!("{written:05}")), table)?;
            written += 1;
        }
    }
    println!("{written} tables in {folder}");
    Ok(())
}
