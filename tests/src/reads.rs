//! `examples/reads` for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use strand_s3_server::S3Server;

use crate::{Draws, Server, TestApp, allowed_to_miss, guest};

/// E. coli 536 in Debian's `bowtie-examples`.
const ECOLI: &str = "/usr/share/doc/bowtie/examples/genomes/NC_008253.fna.gz";

/// The example's folder.
pub fn reads_example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("examples/reads")
}

/// The example's own Directive, page and genome, with the functions that `cargo xtask`
/// built.
pub fn reads_app() -> TestApp {
    let example = reads_example();
    let app = TestApp::new("");
    let directive = fs::read_to_string(example.join("directive.yaml")).unwrap();
    app.write("directive.yaml", directive);
    for name in ["simulate", "index", "windows"] {
        let built = fs::read(guest(&format!("reads-{name}"))).unwrap();
        app.write(&format!(".strand/build/{name}.wasm"), built);
        app.write(&format!("functions/{name}/Cargo.toml"), "");
    }
    for file in fs::read_dir(example.join("public")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        app.write(&format!("public/{name}"), fs::read(file.path()).unwrap());
    }
    let lambda = fs::read(example.join("genomes/lambda.fa")).unwrap();
    app.write("genomes/lambda.fa", lambda);
    app
}

/// The app with a genome `drawn`: a sequence `one` of three windows and a bit, and `two`, which is
/// too short for pairs.
pub fn windows_app() -> TestApp {
    let app = reads_app();
    let mut draws = Draws(7);
    let mut text = String::from(">one of them\n");
    for _ in 0..5_007 {
        for _ in 0..61 {
            text.push_str(draws.of(&["A", "C", "G", "T"]));
        }
        text.push('\n');
    }
    text.push_str(">two\nACGT\n");
    app.write("genomes/drawn.fa", text);
    app
}

/// The genome of E. coli; none where its package may be missing.
pub fn ecoli() -> Option<Vec<u8>> {
    unpacked(ECOLI, "bowtie-examples")
}

/// A compressed file of a Debian package; none where that may be missing.
pub fn unpacked(path: &str, package: &str) -> Option<Vec<u8>> {
    if !Path::new(path).exists() {
        assert!(
            allowed_to_miss(package),
            "{path} is missing; run `apt-get install {package}`"
        );
        eprintln!("skipped: there is no {path}");
        return None;
    }
    let done = Command::new("gzip").args(["-dc", path]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    Some(done.stdout)
}

/// The app on an S3 server, its genomes in the bucket's folder `genomes`.
pub fn serve_from_s3(app: &TestApp, s3: &S3Server) -> Server {
    let endpoint = s3.endpoint();
    let env = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", strand_s3_server::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", strand_s3_server::SECRET_KEY),
    ];
    let bind = ["--bind", "blobs.genomes=s3://bucket/genomes"];
    Server::start_with_env(app.path(), &bind, &env)
}
