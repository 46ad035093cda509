//! `examples/reads` for tests.

use std::fs;
use std::path::{Path, PathBuf};

use strand_s3_server::S3Server;

use crate::{Server, TestApp, guest};

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
