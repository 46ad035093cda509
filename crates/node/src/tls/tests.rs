#![allow(clippy::unwrap_used)] // a test that unwraps the wrong thing fails, which is what it is for

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// The files of a new certificate for these names.
fn files(folder: &TempDir, stem: &str, names: &[&str]) -> CertificateFiles {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let files = CertificateFiles {
        certificate: folder.path().join(format!("{stem}.pem")),
        key: folder.path().join(format!("{stem}.key")),
    };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

#[test]
fn a_certificate_is_chosen_by_name() {
    let folder = TempDir::new().unwrap();
    let files = [
        files(&folder, "a", &["a.example", "shared.example"]),
        files(
            &folder,
            "b",
            &["*.b.example", "B.example", "shared.example"],
        ),
        files(&folder, "c", &["named.b.example", "*.b.example"]),
    ];
    let set = read_all(&files).unwrap();
    assert_eq!(
        set.all_names(),
        [
            "*.b.example",
            "a.example",
            "b.example",
            "named.b.example",
            "shared.example"
        ]
    );
    for (name, expected) in [
        (Some("a.example"), 0),
        (Some("A.EXAMPLE"), 0),
        (Some("b.example"), 1),
        (Some("x.b.example"), 1),
        // A name comes before wildcards, wherever it stands.
        (Some("named.b.example"), 2),
        (Some("shared.example"), 0),
        // A wildcard is one label (RFC 9525, section 6.3).
        (Some("x.y.b.example"), 0),
        (Some("other.example"), 0),
        (None, 0),
    ] {
        let chosen = set.choose(name).unwrap();
        let at = set
            .certificates
            .iter()
            .position(|it| Arc::ptr_eq(it, chosen));
        assert_eq!(at, Some(expected), "{name:?}");
    }
}

/// Clients know an authority, and seldom the one that signed it.
#[test]
fn a_certificate_comes_with_those_that_lead_to_it() {
    let folder = TempDir::new().unwrap();
    let (own, issuer) = (
        files(&folder, "own", &["a.example"]),
        files(&folder, "issuer", &["b.example"]),
    );
    let chain = [&own, &issuer].map(|it| std::fs::read_to_string(&it.certificate).unwrap());
    std::fs::write(&own.certificate, chain.concat()).unwrap();
    let set = read_all(&[own]).unwrap();
    assert_eq!(set.certificates[0].cert.len(), 2);
    // The names are those of its own.
    assert_eq!(set.all_names(), ["a.example"]);
}

#[test]
fn each_certificate_has_its_end() {
    let folder = TempDir::new().unwrap();
    let (a, b) = (
        files(&folder, "a", &["a.example"]),
        files(&folder, "b", &["b.example"]),
    );
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["b.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2024, 3, 1);
    std::fs::write(&b.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&b.key, key.serialize_pem()).unwrap();
    let name = |files: &CertificateFiles| files.certificate.display().to_string();
    // One file may be there twice.
    let certificates = Certificates::read(vec![a.clone(), b.clone(), b.clone()]).unwrap();
    assert_eq!(
        certificates.ends(),
        // What `files` says: 4096-01-01.
        BTreeMap::from([(name(&a), 67_090_118_400), (name(&b), 1_709_251_200)])
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = TempDir::new().unwrap();
    let good = files(&folder, "good", &["a.example"]);
    let other = files(&folder, "other", &["a.example"]);
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (empty, broken) = (
        path("empty", ""),
        path(
            "broken",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    );
    let cases = [
        (
            folder.path().join("none"),
            good.key.clone(),
            "No such file or directory",
        ),
        (empty.clone(), good.key.clone(), "it holds no certificate"),
        (
            broken,
            good.key.clone(),
            "its first certificate cannot be read",
        ),
        (good.certificate.clone(), empty, "it holds no private key"),
        (
            good.certificate.clone(),
            other.key,
            "it is not the key of the certificate in",
        ),
        (
            folder.path().to_owned(),
            good.key,
            "it is a folder, not a file",
        ),
    ];
    for (certificate, key, expected) in cases {
        let files = [CertificateFiles { certificate, key }];
        let error = read_all(&files).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Waits until the first name of the certificates is this one.
async fn becomes(certificates: &Certificates, name: &str) {
    let is = || certificates.current.load().all_names() == [name];
    tokio::time::timeout(Duration::from_secs(20), async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("read again");
}

#[tokio::test]
async fn files_that_change_are_read_again() {
    let folder = TempDir::new().unwrap();
    let here = files(&folder, "here", &["first.example"]);
    let certificates = Certificates::read(vec![here.clone()]).unwrap();
    // Also while the node was still starting.
    let early = files(&folder, "early", &["early.example"]);
    std::fs::rename(&early.certificate, &here.certificate).unwrap();
    std::fs::rename(&early.key, &here.key).unwrap();
    let watching = tokio::spawn(Arc::clone(&certificates).watch());
    becomes(&certificates, "early.example").await;
    // One of the two is a pair that does not fit: nothing changes until both are there.
    let second = files(&folder, "second", &["second.example"]);
    std::fs::rename(&second.certificate, &here.certificate).unwrap();
    tokio::time::sleep(LOOK * 3 / 2).await;
    assert_eq!(certificates.current.load().all_names(), ["early.example"]);
    std::fs::rename(&second.key, &here.key).unwrap();
    becomes(&certificates, "second.example").await;
    // Written in place.
    let third = files(&folder, "third", &["third.example"]);
    std::fs::copy(&third.certificate, &here.certificate).unwrap();
    std::fs::copy(&third.key, &here.key).unwrap();
    becomes(&certificates, "third.example").await;
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn files_that_stay_as_they_are_are_not_read_again() {
    let folder = TempDir::new().unwrap();
    let here = files(&folder, "here", &["a.example"]);
    let certificates = Certificates::read(vec![here]).unwrap();
    let before = certificates.current.load_full();
    // The clock stands still while they are looked at.
    let watching = Arc::clone(&certificates).watch();
    assert!(tokio::time::timeout(LOOK * 5, watching).await.is_err());
    assert!(Arc::ptr_eq(&before, &certificates.current.load_full()));
}

#[tokio::test]
async fn files_that_could_not_be_read_are_tried_again() {
    let folder = TempDir::new().unwrap();
    let here = [files(&folder, "here", &["a.example"])];
    let found = look(&here);
    let mut known = Known {
        files: vec![None, None],
        said: None,
    };
    let fails = |cause| {
        let (what, path) = ("key", here[0].key.clone());
        Ok((found.clone(), Some(Err(TlsError { what, path, cause }))))
    };
    // `EIO`: the same file can be read once the disk answers.
    let unread = || Cause::Read(FileError::Io(std::io::Error::from_raw_os_error(5)));
    assert!(known.learn(fails(unread())).is_none());
    let said = known.said.clone().unwrap();
    assert!(said.contains("here.key: Input/output error"), "{said}");
    let panicked = spawn_blocking(|| -> Looked { panic!("for a test") }).await;
    assert!(known.learn(panicked).is_none());
    assert_ne!(known.said.as_ref(), Some(&said));
    assert_eq!(known.files, [None, None]);
    let set = known.learn(Ok((found.clone(), Some(read_all(&here)))));
    assert_eq!(set.unwrap().all_names(), ["a.example"]);
    assert_eq!((&known.files, &known.said), (&found, &None));

    // What is readable and wrong stays so until it changes.
    known.files = vec![None, None];
    assert!(known.learn(fails(Cause::NoKey)).is_none());
    assert_eq!(known.files, found);
    assert!(known.learn(Ok((found.clone(), None))).is_none());
}
