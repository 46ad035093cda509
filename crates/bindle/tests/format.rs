//! What an invoice may say, in TOML and in JSON, and what is told of one that says something else.

// A test that unwraps the wrong thing fails, which is what it is for.
#![allow(clippy::unwrap_used)]

use strand_bindle::{
    Conditions, Document, DocumentError, Format, Group, Id, Invoice, Label, MAX_GROUPS,
    MAX_INVOICE_BYTES, MAX_PARCELS, MAX_PROBLEMS, Parcel, Query, SatisfiedBy, Sha256, VersionRange,
    wire::{Created, ErrorAnswer, Matches, Missing},
};

const HEAD: &str = "bindleVersion = '1.0.0'\nbindle = { name = 'a/b', version = '1.2.3' }\n";
const ONE: &str = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
const TWO: &str = "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35";

fn read(rest: &str) -> Result<Invoice, DocumentError> {
    let document = Document::from_toml(format!("{HEAD}{rest}").into_bytes())?;
    Ok(document.into_parts().1)
}

/// A parcel of this digest, with more fields of its label, and of itself.
fn parcel(digest: &str, label: &str, more: &str) -> String {
    format!(
        "[[parcel]]\nlabel = {{ sha256 = '{digest}', mediaType = 'a/b', size = 1{label} }}\n{more}\n"
    )
}

#[test]
fn all_fields_are_read() {
    let text = format!(
        r#"
bindleVersion = "1.0.0"
yanked = true

[bindle]
name = "example.com/weather"
version = "0.1.0-rc.1+build.7"
description = "Tells the weather"
authors = ["Ada <ada@example.com>", "Grace"]

[annotations]
mykey = "myvalue"

[[group]]
name = "server"
required = true
satisfiedBy = "oneOf"

[[group]]
name = "extras"

[[parcel]]
[parcel.label]
sha256 = "{ONE}"
mediaType = "application/wasm"
name = "weather.wasm"
size = 9_223_372_036_854_775_807
origin = "https://example.com/weather.wasm"
annotations = {{ "bindle.dev/license" = "Apache-2.0" }}
[parcel.label.feature.wasm]
wasi = "true"
[parcel.conditions]
memberOf = ["server"]
requires = ["extras"]

[[signature]]
by = "Ada <ada@example.com>"
signature = "c2ln"
key = "a2V5"
role = "creator"
at = 1_611_960_337

[[yankedSignature]]
by = "Ada <ada@example.com>"
signature = "c2ln"
key = "a2V5"
role = "approver"
at = 1611960338
"#
    );
    let document = Document::from_toml(text.clone().into_bytes()).unwrap();
    assert_eq!(document.bytes(), text.as_bytes());
    assert_eq!(document.digest(), Sha256::of(&text));
    let invoice = document.invoice();
    assert_eq!(
        invoice.id().to_string(),
        "example.com/weather/0.1.0-rc.1+build.7"
    );
    assert!(invoice.yanked);
    assert_eq!(invoice.bindle.authors.len(), 2);
    assert_eq!(invoice.group[0].satisfied_by, SatisfiedBy::OneOf);
    assert_eq!(invoice.group[1].satisfied_by, SatisfiedBy::AllOf);
    assert!(invoice.group[0].required && !invoice.group[1].required);
    let label = invoice.label(ONE.parse().unwrap()).unwrap();
    assert_eq!(
        (label.size, label.feature("wasm", "wasi")),
        (i64::MAX as u64, Some("true"))
    );
    assert_eq!(invoice.signature[0].at, 1_611_960_337);

    // Whatever it is written as, it says the same.
    let toml = invoice.to_toml().unwrap();
    assert_eq!(
        Document::from_toml(toml.clone().into_bytes())
            .unwrap()
            .invoice(),
        invoice,
        "{toml}"
    );
    let json = invoice.to_json().unwrap();
    let read = Document::read(json.clone().into_bytes(), Format::Json).unwrap();
    assert_eq!(read.invoice(), invoice, "{json}");
    assert_eq!(
        Document::write(invoice.clone()).unwrap().bytes(),
        toml.as_bytes()
    );
}

#[test]
fn what_may_be_left_out_may_be() {
    for rest in [
        "",
        "yanked = false",
        "parcel = []\ngroup = []\nsignature = []\nannotations = {}",
        "[[group]]\nname = 'g'",
        &parcel(ONE, "", ""),
        &parcel(ONE, ", name = ''", "conditions = {}"),
        &parcel(ONE, ", name = 'x', feature = {}, annotations = {}", ""),
        &parcel(ONE, "", "conditions.memberOf = []"),
        &(parcel(ONE, ", name = 'x'", "") + &parcel(ONE, ", name = 'y'", "")),
        &parcel(ONE, ", feature = { any = { thing = 'goes' } }", ""),
    ] {
        read(rest).unwrap_or_else(|error| panic!("{rest}: {error}"));
    }
    let global = read(&parcel(ONE, "", "conditions.memberOf = []")).unwrap();
    assert!(global.parcel[0].is_global());
    // Other readers require a name, so that one is written.
    assert!(global.to_toml().unwrap().contains("name = \"\""));
    assert!(global.to_json().unwrap().contains("\"name\":\"\""));
}

#[test]
fn what_is_no_invoice_is_refused_with_its_place() {
    let both = parcel(ONE, "", "") + &parcel(TWO, "", "");
    for (text, expected) in [
        ("x = 1", "unknown field `x`"),
        ("bindle.name = 'x'", "line 3"),
        ("yanked = 'yes'", "invalid type: string"),
        (
            "[[group]]\nname = 'g'\nsatisfiedBy = 'some'",
            "unknown variant `some`",
        ),
        (
            "[[group]]\nname = 'g'\nsatisfied_by = 'oneOf'",
            "unknown field `satisfied_by`",
        ),
        ("[[group]]\nrequired = true", "missing field `name`"),
        ("[[group]]\nname = ''", "group[0].name: it is empty"),
        (
            "[[group]]\nname = 'g'\n[[group]]\nname = 'g'",
            "group[1].name: `g` is defined twice",
        ),
        ("[[parcel]]", "missing field `label`"),
        (&parcel("abc", "", ""), "`abc` is not a SHA-256 digest"),
        (
            &parcel(&ONE.to_uppercase(), "", ""),
            "is not a SHA-256 digest",
        ),
        (&parcel(ONE, ", color = 'red'", ""), "unknown field `color`"),
        (
            &parcel(ONE, ", feature = { wasm = 'wasi' }", ""),
            "invalid type: string \"wasi\"",
        ),
        (
            &parcel(ONE, ", feature = { wasm = { wasi = true } }", ""),
            "invalid type: boolean",
        ),
        (
            &parcel(ONE, "", "").replace("size = 1", "size = -1"),
            "line 4",
        ),
        (
            &parcel(ONE, "", "").replace("size = 1", "size = 1.5"),
            "line 4",
        ),
        (
            &parcel(ONE, "", "").replace("a/b", "wasm"),
            "parcel[0].label.mediaType: `wasm` is not a media type",
        ),
        (
            &parcel(ONE, "", "").replace("'a/b'", "\"a/b\\r\\nx: y\""),
            "parcel[0].label.mediaType: `a/b\\r\\nx: y` is not a media type",
        ),
        (
            &parcel(ONE, "", "conditions.memberOf = ['g']"),
            "parcel[0].conditions.memberOf: there is no group `g`",
        ),
        (
            &parcel(ONE, "", "conditions.requires = ['g']"),
            "parcel[0].conditions.requires: there is no group `g`",
        ),
        (
            &(parcel(ONE, "", "") + &parcel(ONE, "", "").replace("size = 1", "size = 2")),
            "parcel[1].label.size: the parcel 6b86",
        ),
        (
            &both.replace("size = 1", "size = 9223372036854775808"),
            "parcel[1].label.size: it is larger than TOML can write",
        ),
        ("[[signature]]\nby = 'a'", "missing field"),
        (
            "[[signature]]\nby = 'a'\nsignature=''\nkey=''\nrole='owner'\nat=1",
            "unknown variant `owner`",
        ),
        (
            "[[signature]]\nby = \"a\\nb\"\nsignature=''\nkey=''\nrole='host'\nat=1",
            "signature[0].by: it has a control character",
        ),
        (
            "[[group]]\nname = \"g\\nh\"",
            "group[0].name: it has a control character",
        ),
        (
            &format!("[[group]]\nname = '{}'", "g".repeat(1025)),
            "group[0].name: it is longer than 1024 bytes",
        ),
        (
            &parcel(
                ONE,
                "",
                &format!("conditions.requires = [{}]", "'g', ".repeat(101)),
            ),
            "parcel[0].conditions.requires: it names 101 groups: at most 100",
        ),
        (&format!("annotations = '{}'", "x".repeat(10_000)), "…"),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (text, expected) in [
        ("", "missing field `bindleVersion`"),
        ("bindleVersion = '1.0.0'", "missing field `bindle`"),
        (
            &HEAD.replace("1.0.0", "2.0.0"),
            "bindleVersion: `2.0.0` is not known",
        ),
        (
            &HEAD.replace("1.0.0", "1.rubbish"),
            "bindleVersion: `1.rubbish` is not known",
        ),
        (
            &HEAD.replace("a/b", "a\u{200b}/b"),
            "it has a space, or a character that is not seen",
        ),
        (&HEAD.replace("1.2.3", "1.2"), "`1.2` is not a version"),
        (
            &HEAD.replace("a/b", "a//b"),
            "`a//b` cannot be a bindle's name",
        ),
        (
            &HEAD.replace("a/b", "../b"),
            "`../b` cannot be a bindle's name",
        ),
        (&HEAD.replace("name = 'a/b', ", ""), "missing field `name`"),
        ("{", "line 1:"),
    ] {
        let error = Document::from_toml(text.as_bytes().to_vec())
            .expect_err(text)
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = Document::from_toml(vec![b'#', 0xff]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the invoice is not UTF-8: byte 1 is wrong"
    );
    let large = Document::from_toml(vec![b'\n'; MAX_INVOICE_BYTES + 1]).unwrap_err();
    assert!(matches!(large, DocumentError::TooLarge(_)));
}

#[test]
fn the_largest_invoice_is_looked_at_in_no_time() {
    // As many conditions as fit into one.
    let names = "'g', ".repeat(MAX_INVOICE_BYTES / 2 / "'g', ".len() - 100);
    let greedy = parcel(
        ONE,
        "",
        &format!("conditions = {{ memberOf = [{names}], requires = [{names}] }}"),
    );
    let error = read(&greedy).unwrap_err().to_string();
    assert!(error.contains("at most 100"), "{error}");
    // As many as there may be: a way from each parcel's hundred groups to a hundred others.
    let mut invoice = Invoice::new("a/1.0.0".parse::<Id>().unwrap());
    let name = |number: usize| format!("g{number}");
    let group = |number| Group {
        name: name(number),
        required: false,
        satisfied_by: SatisfiedBy::AllOf,
    };
    invoice.group = (0..200).map(group).collect();
    let label = Label::new(Sha256::of(""), "a/b", 0);
    let conditions = Conditions {
        member_of: (0..100).map(name).collect(),
        requires: (100..200).map(name).collect(),
    };
    invoice.parcel = vec![Parcel { label, conditions }; 10_000];
    invoice.check().unwrap();
}

#[test]
fn groups_that_require_each_other_are_named() {
    let circle = |edges: &[(&str, &str)]| {
        let mut text = ["a", "b", "c"]
            .map(|name| format!("[[group]]\nname = '{name}'\n"))
            .concat();
        for (from, to) in edges {
            let conditions =
                format!("conditions = {{ memberOf = ['{from}'], requires = ['{to}'] }}");
            text += &parcel(ONE, "", &conditions);
        }
        read(&text).map_err(|error| error.to_string())
    };
    let told = |text: &str| Err(format!("group: groups require each other: {text}"));
    assert!(circle(&[("a", "b"), ("b", "c"), ("a", "c")]).is_ok());
    assert_eq!(circle(&[("a", "a")]).map(drop), told("`a` → `a`"));
    assert_eq!(
        circle(&[("a", "b"), ("b", "a")]).map(drop),
        told("`a` → `b` → `a`")
    );
    let long = circle(&[("a", "b"), ("b", "c"), ("c", "b")]);
    assert_eq!(long.map(drop), told("`b` → `c` → `b`"));
}

#[test]
fn all_problems_are_told_at_once_but_not_without_end() {
    let many: String = (0..150)
        .map(|_| parcel(ONE, "", "conditions.requires = ['x']"))
        .collect();
    let Err(DocumentError::Invalid(invalid)) = read(&many) else {
        panic!("it was read");
    };
    assert_eq!(
        (invalid.problems.len(), invalid.more),
        (MAX_PROBLEMS, 150 - MAX_PROBLEMS)
    );
    assert!(invalid.to_string().ends_with("\nand 50 more"));
    let mut invoice = read(&parcel(ONE, "", "")).unwrap();
    let one: Parcel = invoice.parcel[0].clone();
    invoice.parcel = vec![one; MAX_PARCELS];
    assert!(invoice.check().is_ok());
    invoice.parcel.push(invoice.parcel[0].clone());
    let error = invoice.check().unwrap_err().to_string();
    assert_eq!(error, "parcel: there are 10001, and at most 10000 are read");
    let groups: String = (0..=MAX_GROUPS)
        .map(|n| format!("[[group]]\nname = 'g{n}'\n"))
        .collect();
    assert!(
        read(&groups)
            .unwrap_err()
            .to_string()
            .contains("at most 1000 are read")
    );
}

#[test]
fn json_may_say_null_where_there_is_nothing() {
    let json = format!(
        r#"{{"bindleVersion":"1.0.0","yanked":null,"yankedSignature":null,
        "bindle":{{"name":"a/b","version":"1.2.3","description":null,"authors":null}},
        "annotations":null,"group":null,"signature":null,"parcel":[{{"label":{{"sha256":"{ONE}",
        "mediaType":"a/b","name":"x","size":1,"annotations":null,"feature":null,"origin":null}},
        "conditions":{{"memberOf":null,"requires":null}}}},{{"label":{{"sha256":"{TWO}",
        "mediaType":"a/b","name":"y","size":1}},"conditions":null}}]}}"#
    );
    let document = Document::read(json.clone().into_bytes(), Format::Json).unwrap();
    assert_eq!(document.invoice().parcel.len(), 2);
    let large = json.replacen("\"size\":1", "\"size\":9223372036854775808", 1);
    let error = Document::read(large.into_bytes(), Format::Json)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "parcel[0].label.size: it is larger than TOML can write"
    );
    let twice = json.replacen("\"yanked\":null", "\"yanked\":null,\"yanked\":true", 1);
    assert!(Document::read(twice.into_bytes(), Format::Json).is_err());
}

#[test]
fn answers_are_tables() {
    let invoice = read(&parcel(ONE, "", "")).unwrap();
    let missing = vec![invoice.parcel[0].label.clone()];
    let created = Created {
        invoice: invoice.clone(),
        missing: missing.clone(),
    };
    let text = toml::to_string(&created).unwrap();
    assert!(
        text.contains("[[missing]]") && text.contains("[invoice.bindle]"),
        "{text}"
    );
    assert_eq!(toml::from_str::<Created>(&text).unwrap(), created);
    let text = toml::to_string(&Missing { missing }).unwrap();
    assert!(text.starts_with("[[missing]]"), "{text}");
    assert_eq!(
        toml::to_string(&Missing::default()).unwrap(),
        "missing = []\n"
    );
    let text = toml::to_string(&ErrorAnswer {
        error: "a \"b\"".to_owned(),
    })
    .unwrap();
    assert_eq!(text, "error = 'a \"b\"'\n");
    let matches = Matches::new(&Query::default(), 1, vec![invoice], 7);
    let text = toml::to_string(&matches).unwrap();
    assert!(
        text.contains("timestamp = 7") && text.contains("[[invoices]]"),
        "{text}"
    );
    assert_eq!(toml::from_str::<Matches>(&text).unwrap(), matches);
}

fn bindle(id: &str, description: &str, yanked: bool) -> Invoice {
    let mut invoice = Invoice::new(id.parse::<Id>().unwrap());
    invoice.bindle.description = Some(description.to_owned());
    invoice.yanked = yanked;
    invoice
}

#[test]
fn queries_find_names_and_versions() {
    let all = [
        bindle("example.com/hello/1.0.0", "Says Hello", false),
        bindle("example.com/hello/1.2.3", "Says Hello", false),
        bindle("example.com/world/2.0.0-rc.1", "A sphere", false),
        bindle("old/hello/0.1.0", "", true),
    ];
    for (query, expected) in [
        ("", "1.0.0 1.2.3 2.0.0-rc.1"),
        ("q=", "1.0.0 1.2.3 2.0.0-rc.1"),
        ("q=hello", "1.0.0 1.2.3"),
        ("query=hello&version=^1.1", "1.2.3"),
        ("q=HELLO", "1.0.0 1.2.3"),
        ("q=HELLO&strict=true", ""),
        ("q=hello+example&strict=true", "1.0.0 1.2.3"),
        ("q=hello%20example", "1.0.0 1.2.3"),
        ("q=sphere", "2.0.0-rc.1"),
        ("q=sphere&strict=true", ""),
        ("q=hello&yanked=true", "1.0.0 1.2.3 0.1.0"),
        ("v=1.2.3", "1.2.3"),
        ("v=1.2", "1.2.3"),
        ("v=>%3D1", "1.0.0 1.2.3"),
        ("q=nothing", ""),
    ] {
        let parsed = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let found: Vec<String> = all
            .iter()
            .filter(|invoice| {
                let description = invoice.bindle.description.as_deref();
                parsed.matches(invoice.id(), description, invoice.yanked)
            })
            .map(|invoice| invoice.id().version().to_string())
            .collect();
        assert_eq!(found.join(" "), expected, "{query}");
    }
    for (query, expected) in [
        ("x=1", "there is no parameter `x`"),
        ("q=a&query=b", "`q` is there twice"),
        ("l=256", "`l` cannot be `256`: it is 0 to 255"),
        ("l=-1", "`l` cannot be"),
        ("o=many", "`o` cannot be `many`"),
        (
            "strict=yes",
            "`strict` cannot be `yes`: it is true or false",
        ),
        (
            "v=newest",
            "`v` cannot be `newest`: it is a version or a range",
        ),
        (
            &format!("q={}", "x".repeat(1025)),
            "it has at most 1024 bytes",
        ),
        (
            &format!("v={}", "1".repeat(257)),
            "it is a version or a range",
        ),
    ] {
        let error = Query::parse(query).unwrap_err().to_string();
        assert!(error.contains(expected), "{query}: {error}");
    }
}

#[test]
fn an_answer_is_a_page() {
    let found: Vec<Invoice> = (0..10)
        .map(|n| bindle(&format!("x/{n}.0.0"), "", false))
        .collect();
    for (query, versions, more) in [
        ("", "0 1 2 3 4 5 6 7 8 9", false),
        ("l=3", "0 1 2", true),
        ("l=3&o=7", "7 8 9", false),
        ("l=3&o=6", "6 7 8", true),
        ("o=10", "", false),
        ("o=18446744073709551615", "", false),
        ("l=0", "", true),
    ] {
        let query_parsed = Query::parse(query).unwrap();
        let invoices = query_parsed.page(found.clone()).collect();
        let page = Matches::new(&query_parsed, found.len() as u64, invoices, 0);
        let majors: Vec<String> = page
            .invoices
            .iter()
            .map(|one| one.id().version().major.to_string())
            .collect();
        assert_eq!(
            (&*majors.join(" "), page.more, page.total),
            (versions, more, 10),
            "{query}"
        );
    }
}

#[test]
fn ranges_are_npm_s() {
    for (range, inside, outside) in [
        ("", "0.0.1 1.2.3 2.0.0-rc.1", ""),
        ("*", "0.0.1 1.2.3", ""),
        ("1.2.3", "1.2.3", "1.2.4 1.2.3-rc.1 1.2.3+build"),
        ("1.2.3+build", "1.2.3+build", "1.2.3"),
        ("= 1.2.3", "1.2.3", "1.2.4"),
        ("1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
        ("1.x", "1.0.0 1.9.9", "2.0.0"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0 1.3.0-rc.1"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0"),
        (">=1.2.3 <2", "1.2.3 1.9.9", "2.0.0"),
        (">=1.2.3, <2", "1.2.3 1.9.9", "2.0.0"),
        ("1.2.3 - 2.3.4", "1.2.3 2.3.4", "2.3.5"),
        ("^1 || ^3", "1.5.0 3.5.0", "2.0.0"),
        ("^1.2.3-rc.1", "1.2.3-rc.2 1.2.3", "1.2.4-rc.1 1.2.3-beta"),
    ] {
        let parsed: VersionRange = range.parse().unwrap();
        assert_eq!(parsed.as_str(), range);
        for (versions, expected) in [(inside, true), (outside, false)] {
            for version in versions.split_whitespace() {
                let version = version.parse().unwrap();
                assert_eq!(parsed.contains(&version), expected, "{range}: {version}");
            }
        }
    }
}
