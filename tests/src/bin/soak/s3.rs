//! A long sequence from an S3 server: each byte once, and what happens when that
//! server dies.

use std::time::Instant;

use strand_s3_server::S3Server;
use strand_tests::{reads_app, serve_from_s3};

use crate::chromosome::{self, NAME, mebibytes};

pub(crate) async fn run() {
    let app = reads_app();
    let bucket = tempfile::tempdir().unwrap();
    let sequence = chromosome::write(&bucket.path().join("bucket/genomes"));
    let key = format!("bucket/genomes/{NAME}.fa");
    let mut s3 = S3Server::start(bucket.path()).await.unwrap();
    let server = serve_from_s3(&app, &s3);
    let path = chromosome::path("1");

    let begun = Instant::now();
    let whole = server.get(&path).await;
    assert_eq!(whole.status, 200, "{:?}", whole.headers);
    assert!(!whole.aborted);
    let requests = s3.take_requests();
    let reads = requests.iter().filter(|request| request.key == key);
    let sent: u64 = reads.clone().map(|request| request.sent).sum();
    println!(
        "{} in {:.1} s; the server sent {sent} of {sequence} bytes in {} requests ({:.4} times)",
        mebibytes(whole.body.len() as u64),
        begun.elapsed().as_secs_f64(),
        reads.count(),
        sent as f64 / sequence as f64
    );
    assert!(sent * 10 <= sequence * 11);

    let held = s3.hold_answer_of(&key, 100 << 20);
    let begun = Instant::now();
    let (reply, ()) = tokio::join!(server.get(&path), async {
        held.await;
        s3.stop().await;
    });
    println!(
        "killed after 100 MiB: status {}, aborted {}, after {:.1} s",
        reply.status,
        reply.aborted,
        begun.elapsed().as_secs_f64()
    );
    if !reply.aborted {
        println!("{}", reply.text());
        assert!(reply.status.is_server_error());
    }
    s3.restart().await.unwrap();
    assert!(server.get(&path).await.body == whole.body);
    println!("the next request is answered as the first");
}
