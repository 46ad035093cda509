//! Who has signed what: signatures in invoices, envelopes, keys and their files.

// A test that unwraps the wrong thing fails, which is what it is for.
#![allow(clippy::unwrap_used)]

use strand_bindle::{
    Document, Envelope, Id, Invoice, KeyEntry, Keyring, Role, SecretKey, SecretKeyFile, Sha256,
    Strategy, VerifyError, sign,
};

const TEXT: &str = "
bindleVersion = '1.0.0'
bindle = { name = 'example.com/hello', version = '1.2.3' }
# A comment, which the exact bytes have.
[[parcel]]
label = { sha256 = '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b', mediaType = 'a/b', name = 'x', size = 1 }
[[parcel]]
label = { sha256 = 'd4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35', mediaType = 'a/b', name = 'y', size = 1 }
";

fn invoice() -> Invoice {
    Document::from_toml(TEXT.as_bytes().to_vec())
        .unwrap()
        .into_parts()
        .1
}

/// A key of one letter, for all roles.
fn key(letter: char) -> SecretKey {
    let seed = Sha256::of(letter.to_string());
    SecretKey::from_seed(seed.as_bytes(), letter.to_string(), Role::ALL.to_vec())
}

fn role(letter: char) -> Role {
    letter.to_string().parse().unwrap()
}

/// An invoice that is signed by keys as roles, `Kc` for key `K` as creator. A small letter for the
/// key is a signature of another invoice.
fn signed(by: &str) -> Invoice {
    let mut invoice = invoice();
    for pair in by.split_whitespace() {
        let (name, as_role) = (pair.chars().next().unwrap(), pair.chars().nth(1).unwrap());
        let signer = key(name.to_ascii_uppercase());
        if name.is_ascii_lowercase() {
            let mut other = Invoice::new("other/1.0.0".parse::<Id>().unwrap());
            sign(&mut other, role(as_role), &signer, 7).unwrap();
            invoice.signature.extend(other.signature);
        } else {
            sign(&mut invoice, role(as_role), &signer, 7).unwrap();
        }
    }
    invoice
}

/// A keyring of keys with roles: `Kca`.
fn keyring(text: &str) -> Keyring {
    let entry = |word: &str| {
        let mut letters = word.chars();
        let entry = key(letters.next().unwrap()).to_entry();
        KeyEntry {
            roles: letters.map(role).collect(),
            ..entry
        }
    };
    Keyring::new(text.split_whitespace().map(entry).collect())
}

#[test]
fn strategies_ask_for_what_they_say() {
    const OK: &str = "ok";
    const UNSIGNED: &str = "nobody has signed it";
    const NONE: &str = "none of the keys that signed it is known";
    const NO_CREATOR: &str = "nobody has signed it as creator";
    const NO_APPROVER: &str = "nobody has signed it as approver";
    let unknown = |by: &str, as_role: &str| format!("the key of `{by}` ({as_role}) is not known");
    let wrong = |by: &str, as_role: &str| {
        format!("the signature of `{by}` ({as_role}) is not of this invoice")
    };
    let as_other = |by: &str, as_role: &str| {
        format!("the key of `{by}` is not trusted as {as_role}, but as approver")
    };
    let own = |text: &str| text.to_owned();
    let multiple = "MultipleAttestation[creator,approver]";
    let multiple_greedy = "MultipleAttestationGreedy[creator,approver]";
    for (strategy, by, known, expected) in [
        ("CreativeIntegrity", "", "Ac", own(UNSIGNED)),
        ("CreativeIntegrity", "Ac", "Ac", own(OK)),
        ("CreativeIntegrity", "Ac", "", unknown("A", "creator")),
        ("CreativeIntegrity", "Ac", "Bc", unknown("A", "creator")),
        ("CreativeIntegrity", "Ac", "Aa", as_other("A", "creator")),
        ("CreativeIntegrity", "Aa", "Aca", own(NO_CREATOR)),
        ("CreativeIntegrity", "Ac Bh", "Ac", own(OK)),
        ("CreativeIntegrity", "Ac bh", "Ac", own(OK)),
        ("CreativeIntegrity", "ac", "Ac", wrong("A", "creator")),
        ("CreativeIntegrity", "Ac Bc", "Ac", unknown("B", "creator")),
        ("CreativeIntegrity", "Ac Bc", "Ac Bc", own(OK)),
        ("AuthoritativeIntegrity", "", "Ac", own(UNSIGNED)),
        ("AuthoritativeIntegrity", "Ac", "Ac", own(OK)),
        ("AuthoritativeIntegrity", "Ac Ba", "Ba", own(OK)),
        ("AuthoritativeIntegrity", "Ac Ba", "Ac", own(OK)),
        ("AuthoritativeIntegrity", "Ac Ba", "Aa Bc", own(NONE)),
        (
            "AuthoritativeIntegrity",
            "Ac ba",
            "Ac",
            wrong("B", "approver"),
        ),
        ("AuthoritativeIntegrity", "Ah", "Ah", own(NONE)),
        ("AuthoritativeIntegrity", "Ac bh", "Ac", own(OK)),
        ("GreedyVerification", "", "Ac", own(UNSIGNED)),
        ("GreedyVerification", "Ac", "Ac", own(OK)),
        ("GreedyVerification", "Ac Bh", "Ac Bh", own(OK)),
        ("GreedyVerification", "Ac Bh", "Ac", unknown("B", "host")),
        ("GreedyVerification", "Ac bh", "Ac Bh", wrong("B", "host")),
        (
            "GreedyVerification",
            "Ac Bh",
            "Ac Ba",
            as_other("B", "host"),
        ),
        ("GreedyVerification", "Bh", "Bh", own(NO_CREATOR)),
        ("ExhaustiveVerification", "", "Ac", own(UNSIGNED)),
        ("ExhaustiveVerification", "Bp", "Bp", own(OK)),
        (
            "ExhaustiveVerification",
            "Ac Bp",
            "Ac",
            unknown("B", "proxy"),
        ),
        (
            "ExhaustiveVerification",
            "Ac bp",
            "Ac Bp",
            wrong("B", "proxy"),
        ),
        (multiple, "", "Ac", own(UNSIGNED)),
        (multiple, "Ac Ba", "Ac Ba", own(OK)),
        (multiple, "Ac", "Ac", own(NO_APPROVER)),
        (multiple, "Ac Ba", "Ac", unknown("B", "approver")),
        (multiple, "Ac Ba Ch", "Ac Ba", own(OK)),
        (multiple, "Ac Ba ch", "Ac Ba", own(OK)),
        (multiple, "ac Ba", "Ac Ba", wrong("A", "creator")),
        (multiple_greedy, "", "Ac", own(UNSIGNED)),
        (multiple_greedy, "Ac Ba Ch", "Ac Ba Ch", own(OK)),
        (multiple_greedy, "Ac Ba Ch", "Ac Ba", unknown("C", "host")),
        (multiple_greedy, "Ac Ba ch", "Ac Ba Ch", wrong("C", "host")),
        (multiple_greedy, "Ac Ch", "Ac Ba Ch", own(NO_APPROVER)),
        // Who is known twice is known as both.
        ("GreedyVerification", "Ac Bh", "Ac Ba Bh", own(OK)),
    ] {
        let parsed: Strategy = strategy.parse().unwrap();
        let found = match parsed.verify(&signed(by), &keyring(known)) {
            Ok(()) => OK.to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(
            found.starts_with(&expected),
            "{strategy}, {by}, {known}: {found}"
        );
    }
}

#[test]
fn whatever_is_signed_and_changed_is_noticed() {
    let ring = keyring("Ac");
    let strategy = Strategy::CreativeIntegrity;
    let change = |how: fn(&mut Invoice)| {
        let mut invoice = signed("Ac");
        how(&mut invoice);
        strategy
            .verify(&invoice, &ring)
            .map_err(|error| error.to_string())
    };
    let wrong =
        Err("the signature of `A` (creator) is not of this invoice: one of them was changed");
    let other = "the signature of `B` (creator) is not of this invoice: one of them was changed";
    assert_eq!(change(|_| {}), Ok(()));
    // The time is not signed.
    assert_eq!(change(|invoice| invoice.signature[0].at = 8), Ok(()));
    for how in [
        (|invoice| invoice.bindle.id = "example.com/hello/1.2.4".parse().unwrap())
            as fn(&mut Invoice),
        |invoice| invoice.bindle.id = "example.com/other/1.2.3".parse().unwrap(),
        |invoice| invoice.parcel[0].label.sha256 = Sha256::of("x"),
        |invoice| invoice.parcel.swap(0, 1),
        |invoice| drop(invoice.parcel.pop()),
        |invoice| invoice.parcel.push(invoice.parcel[0].clone()),
    ] {
        assert_eq!(change(how), wrong.map_err(str::to_owned));
    }
    assert_eq!(
        change(|invoice| invoice.signature[0].by = "B".to_owned()),
        Err(other.to_owned())
    );
    for (how, what) in [
        (
            (|invoice| invoice.signature[0].signature.truncate(80)) as fn(&mut Invoice),
            "signature",
        ),
        (
            |invoice| invoice.signature[0].signature = "?".to_owned(),
            "signature",
        ),
        (
            |invoice| invoice.signature[0].signature = String::new(),
            "signature",
        ),
        (|invoice| invoice.signature[0].key.truncate(40), "key"),
        (|invoice| invoice.signature[0].key = "!".to_owned(), "key"),
    ] {
        assert_eq!(
            change(how),
            Err(format!("the {what} of `A` (creator) is corrupt"))
        );
    }
    // What is for one role is not for another, and one key signs once.
    let as_approver = change(|invoice| invoice.signature[0].role = Role::Approver);
    assert_eq!(
        as_approver,
        Err("nobody has signed it as creator".to_owned())
    );
    let twice = change(|invoice| invoice.signature.push(invoice.signature[0].clone()));
    assert_eq!(twice, Err("one key has signed twice, as `A`".to_owned()));
}

#[test]
fn a_key_that_would_verify_what_nobody_signed_is_none() {
    // The point of order one: with it, this signature is right for any message, unless one looks.
    let weak = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let mut invoice = signed("Ac");
    invoice.signature[0].key = weak.to_owned();
    let mut signature = [0; 64];
    signature[0] = 1;
    invoice.signature[0].signature =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
    let mut entry = key('A').to_entry();
    entry.key = weak.to_owned();
    entry.label_signature = None;
    let error = Strategy::CreativeIntegrity
        .verify(&invoice, &Keyring::new(vec![entry]))
        .unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Wrong { .. } | VerifyError::Corrupt { .. }
        ),
        "{error}"
    );
}

/// Made apart from this code: by another library, over the text that bindle 0.9.1 signs.
#[test]
fn signatures_are_those_of_other_implementations() {
    let by = "Ada <ada@example.com>";
    let public = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    let keys = format!(
        "version = '1.0'\n[[key]]\nlabel = '{by}'\nroles = ['creator']\n\
         keypair = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA=='"
    );
    let ring = format!(
        "version = '1.0'\n[[key]]\nlabel = '{by}'\nroles = ['creator']\nkey = '{public}'\n\
         labelSignature = '6mMmBrUorQdeBqutzfXOwc1lHt92X8GQli5iVSJPQadc9dX3loVfEB4CzmHyaT5+O6fqioRTbT3TK5ZY9gCPDA=='"
    );
    let invoice = format!(
        "bindleVersion = '1.0.0'\n\
         bindle = {{ name = 'example.com/weather', version = '0.1.0-rc.1+b.7' }}\n\
         parcel = [\n\
         {{ label = {{ name = '1', mediaType = 'a/b', size = 3, sha256 = '7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed' }} }},\n\
         {{ label = {{ name = '2', mediaType = 'a/b', size = 3, sha256 = '3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3' }} }},\n\
         ]\n\
         [[signature]]\nby = '{by}'\nkey = '{public}'\nrole = 'creator'\nat = 1611960337\n\
         signature = 'WhLLXySihdXlaxDEKZC9jRoQNguALhrCouePR70r4el9tUvPfcg6RRiCUaaocRt9WLYazpE9gqJNhoRbltMMDw=='"
    );
    let document = Document::from_toml(invoice.into_bytes()).unwrap();
    let ring = Keyring::from_toml(&ring).unwrap();
    Strategy::ExhaustiveVerification
        .verify(document.invoice(), &ring)
        .unwrap();
    let secret = SecretKeyFile::from_toml(&keys).unwrap().key[0]
        .secret()
        .unwrap();
    assert_eq!(secret.to_entry(), ring.key[0]);
    let mut again = document.invoice().clone();
    again.signature.clear();
    sign(&mut again, Role::Creator, &secret, 1_611_960_337).unwrap();
    assert_eq!(&again, document.invoice());
}

#[test]
fn nobody_signs_twice_or_as_what_he_is_not() {
    let mut invoice = signed("Ac");
    let error = sign(&mut invoice, Role::Host, &key('A'), 7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key of `A` has signed this invoice already"
    );
    let seed = Sha256::of("B");
    let creator = SecretKey::from_seed(seed.as_bytes(), "B", vec![Role::Creator, Role::Proxy]);
    let error = sign(&mut invoice, Role::Host, &creator, 7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key of `B` does not sign as host: it has the roles creator, proxy"
    );
    assert_eq!(invoice.signature.len(), 1);
}

#[test]
fn strategies_are_read_as_they_are_written() {
    for (text, written) in [
        ("CreativeIntegrity", "CreativeIntegrity"),
        (" authoritativeintegrity ", "AuthoritativeIntegrity"),
        ("GreedyVerification", "GreedyVerification"),
        ("EXHAUSTIVEVERIFICATION", "ExhaustiveVerification"),
        (
            "MultipleAttestation[Creator, Approver]",
            "MultipleAttestation[creator,approver]",
        ),
        (
            "MultipleAttestationGreedy[h]",
            "MultipleAttestationGreedy[host]",
        ),
    ] {
        assert_eq!(text.parse::<Strategy>().unwrap().to_string(), written);
    }
    assert_eq!(Strategy::default().to_string(), "GreedyVerification");
    for (text, expected) in [
        ("", "`` is not a strategy"),
        ("None", "`None` is not a strategy"),
        ("CreativeIntegrity[creator]", "is not a strategy"),
        ("MultipleAttestation", "needs roles"),
        ("MultipleAttestation[]", "needs roles"),
        ("MultipleAttestation[creator", "is not a strategy"),
        ("MultipleAttestation[owner]", "`owner` is not a role"),
    ] {
        let error = text.parse::<Strategy>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn an_envelope_is_over_every_byte() {
    let document = Document::from_toml(TEXT.as_bytes().to_vec()).unwrap();
    let envelope = Envelope::sign(&document, &key('A')).unwrap();
    let json = envelope.to_json().unwrap();
    let open = |json: &[u8], ring: &str| -> Result<Vec<String>, String> {
        let envelope = Envelope::from_json(json).map_err(|error| error.to_string())?;
        let signed = envelope
            .open(&keyring(ring), Role::Creator)
            .map_err(|error| error.to_string())?;
        assert_eq!(signed.document, document);
        Ok(signed.by)
    };
    assert_eq!(open(&json, "Bc Ac"), Ok(vec!["A".to_owned()]));
    let unknown = "the exact invoice is not signed by a key that is known as creator";
    assert_eq!(open(&json, "Bc"), Err(unknown.to_owned()));
    assert_eq!(open(&json, ""), Err(unknown.to_owned()));
    let role = "the exact invoice is signed by `A`, who is not trusted as creator, but as host";
    assert_eq!(open(&json, "Ah"), Err(role.to_owned()));

    // A comment is changed, and nothing that the invoice's own signatures are over.
    let changed = |from: &str, to: &str| {
        let other = Document::from_toml(TEXT.replace(from, to).into_bytes()).unwrap();
        let payload = |envelope: &Envelope| {
            let json: serde_json::Value =
                serde_json::from_slice(&envelope.to_json().unwrap()).unwrap();
            json["payload"].as_str().unwrap().to_owned()
        };
        let json = String::from_utf8(json.clone()).unwrap();
        let other = Envelope::sign(&other, &key('B')).unwrap();
        json.replace(&payload(&envelope), &payload(&other))
            .into_bytes()
    };
    let wrong = "the signature of `A` is not of this exact invoice: one of them was changed";
    for (from, to) in [
        ("A comment", "a comment"),
        ("'x'", "'z'"),
        ("size = 1", "size = 2"),
    ] {
        assert_eq!(open(&changed(from, to), "Ac"), Err(wrong.to_owned()));
    }
    // Any other byte of it: never another invoice, never a panic.
    for place in 0..json.len() {
        let mut flipped = json.clone();
        flipped[place] ^= 1;
        if let Ok(by) = open(&flipped, "Ac") {
            // What is only a hint may be anything.
            assert_eq!(by, ["A"], "byte {place}");
        }
    }
    let other_type = String::from_utf8(json.clone())
        .unwrap()
        .replace("invoice.v1", "invoice.v2");
    let error = open(other_type.as_bytes(), "Ac").unwrap_err();
    assert!(
        error.starts_with("what is signed is `application/vnd"),
        "{error}"
    );
    for (json, expected) in [
        ("", "the signed invoice cannot be read"),
        ("{}", "missing field"),
        (
            r#"{"payload":"?","payloadType":"x","signatures":[]}"#,
            "what is signed is `x`",
        ),
    ] {
        let error = open(json.as_bytes(), "Ac").unwrap_err();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn several_may_sign_an_envelope() {
    let document = Document::from_toml(TEXT.as_bytes().to_vec()).unwrap();
    let mut envelope = Envelope::sign(&document, &key('A')).unwrap();
    envelope.add(&key('B')).unwrap();
    let signed = envelope.open(&keyring("Bc Ac"), Role::Creator).unwrap();
    assert_eq!(signed.by, ["A", "B"]);
    // A key signs once, and is counted once however often it stands there.
    envelope.add(&key('B')).unwrap();
    assert_eq!(
        envelope.open(&keyring("Bc Ac"), Role::Creator).unwrap().by,
        ["A", "B"]
    );
    let mut json: serde_json::Value = serde_json::from_slice(&envelope.to_json().unwrap()).unwrap();
    let first = json["signatures"][0].clone();
    json["signatures"]
        .as_array_mut()
        .unwrap()
        .extend([first.clone(), first]);
    let repeated = Envelope::from_json(json.to_string().as_bytes()).unwrap();
    assert_eq!(
        repeated.open(&keyring("Bc Ac"), Role::Creator).unwrap().by,
        ["A", "B"]
    );
    // One that is not known is in nobody's way.
    let signed = envelope.open(&keyring("Bc Ah"), Role::Creator).unwrap();
    assert_eq!(signed.by, ["B"]);
}

#[test]
fn keys_are_kept_in_files_and_told_to_nobody() {
    let secret = key('A');
    let file = SecretKeyFile::new(vec![secret.to_secret_entry()]);
    let text = file.to_toml().unwrap();
    let read = SecretKeyFile::from_toml(&text).unwrap();
    assert_eq!(read.key[0].secret().unwrap().public(), secret.public());
    let keypair = &*read.key[0].keypair;
    for shown in [
        format!("{secret:?}"),
        format!("{read:?}"),
        format!("{:?}", read.key[0]),
    ] {
        assert!(
            !shown.contains(keypair) && shown.contains("Creator"),
            "{shown}"
        );
    }
    // The error of a file that cannot be read shows nothing of it.
    for (text, expected) in [
        (text.replace("roles", "rolls"), "line 3 is wrong"),
        (text.replace("keypair = ", "keypair = 7 # "), "line 5"),
        (
            text.replace("[[key]]", "[key]").replace("\"A\"", keypair),
            "is wrong",
        ),
        (format!("key = \"{keypair}\"\nversion = \"1.0\""), "line 1"),
        (
            text.replace("\"creator\"", &format!("\"{keypair}\"")),
            "line 6",
        ),
        (
            // Label and keypair in each other's place.
            text.replace(keypair, "?")
                .replace("\"A\"", &format!("\"{keypair}\"")),
            "key[0]",
        ),
        (text.replace("\"A\"", "\"A\\nB\""), "control character"),
        (format!("{}\nx = [", &*text), "line 8"),
        (
            text.replace("1.0", "2.0"),
            "keys of version `2.0` cannot be read",
        ),
        (
            text.replace(&keypair[..4], "AAAA"),
            "key[0]: a keypair is not 64 bytes",
        ),
        (
            text.replace(keypair, "?"),
            "key[0]: a keypair is not 64 bytes",
        ),
    ] {
        let error = SecretKeyFile::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains(&keypair[8..40]), "{error}");
    }
}

#[test]
fn a_keyring_is_what_it_says() {
    let ring = keyring("Ac Bha");
    let text = ring.to_toml().unwrap();
    assert_eq!(Keyring::from_toml(&text).unwrap(), ring);
    assert_eq!(
        ring.with_roles(&[Role::Approver]),
        Keyring::new(vec![ring.key[1].clone()])
    );
    assert_eq!(ring.with_roles(&[]), ring);
    let entry = &ring.key[0];
    for (text, expected) in [
        (
            text.replace(&entry.key, "AAAA"),
            "`A`: its key is not an Ed25519 key in base64",
        ),
        (
            text.replace("label = \"A\"", "label = \"E\""),
            "`E`: the signature of the label",
        ),
        (
            text.replace("1.0", "0.9"),
            "keys of version `0.9` cannot be read",
        ),
        (text.replace("creator", "owner"), "unknown variant `owner`"),
        ("x".to_owned(), "the keys cannot be read"),
    ] {
        let error = Keyring::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // A label need not be signed.
    let plain = KeyEntry {
        label_signature: None,
        ..entry.clone()
    };
    let text = Keyring::new(vec![plain]).to_toml().unwrap();
    assert!(Keyring::from_toml(&text).is_ok(), "{text}");
}
