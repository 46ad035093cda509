use std::collections::BTreeSet;

use wasmparser::{ExternalKind, Operator, Parser, Payload, Validator, WasmFeatures};

use super::*;

/// What Wasmtime's defaults amount to for these modules.
fn validate(bytes: &[u8]) -> Result<(), String> {
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(bytes)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[track_caller]
fn refused(bytes: &[u8], why: &str) {
    let error = validate(bytes).unwrap_err();
    assert!(error.contains(why), "{error}");
}

fn exports(bytes: &[u8]) -> Vec<(String, ExternalKind)> {
    let mut all = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ExportSection(section) = payload.unwrap() {
            for export in section {
                let export = export.unwrap();
                all.push((export.name.to_owned(), export.kind));
            }
        }
    }
    all
}

/// The operators of the module's functions.
fn operators(bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            for operator in body.get_operators_reader().unwrap() {
                all.push(format!("{:?}", operator.unwrap()));
            }
        }
    }
    all
}

fn count(bytes: &[u8], operator: &str) -> usize {
    let operators = operators(bytes);
    operators
        .iter()
        .filter(|it| it.starts_with(operator))
        .count()
}

#[test]
fn programs_are_valid_and_have_a_start() {
    let programs = [
        enormous_function(10_001),
        many_functions(5000),
        deep_nesting(5000),
        enormous_br_tables(3, 100_000),
        memory_of(65536),
        table_of(u32::MAX),
        many_memories(100),
        grows_table(),
        grows_memories(10),
        imports_unknown_function(),
    ];
    for (index, program) in programs.iter().enumerate() {
        assert_eq!(validate(program), Ok(()), "{index}");
        let start = ("_start".to_owned(), ExternalKind::Func);
        assert!(exports(program).contains(&start), "{index}");
        assert!(program.starts_with(b"\0asm\x01\0\0\0"), "{index}");
    }
}

#[test]
fn the_greatest_function_that_hosts_take() {
    let function = enormous_function(430_000);
    assert!(function.len() > 6_900_000, "{}", function.len());
    assert_eq!(validate(&function), Ok(()));
    refused(&enormous_function(480_000), "exceeds limit of 7654321");
}

#[test]
fn more_than_hosts_take_is_refused() {
    refused(&many_functions(1_000_001), "functions count exceeds limit");
    refused(&memory_of(65537), "memory size");
    refused(&many_memories(101), "memories count");
}

#[test]
fn what_is_asked_for_is_there() {
    assert_eq!(count(&deep_nesting(77), "Block"), 77);
    assert_eq!(count(&many_functions(77), "I32Const"), 77);
    assert_eq!(count(&enormous_function(77), "I64Rotl"), 77);
    assert_eq!(count(&enormous_function(77), "Loop"), 1);
    assert_eq!(count(&grows_table(), "TableGrow"), 1);
    assert_eq!(count(&grows_memories(7), "MemoryGrow"), 7);
    let bytes = enormous_br_tables(2, 1000);
    for payload in Parser::new(0).parse_all(&bytes) {
        let Payload::CodeSectionEntry(body) = payload.unwrap() else {
            continue;
        };
        for operator in body.get_operators_reader().unwrap() {
            if let Operator::BrTable { targets } = operator.unwrap() {
                assert_eq!(targets.len(), 1000);
                let distinct: BTreeSet<u32> = targets.targets().map(Result::unwrap).collect();
                assert_eq!(distinct.len(), 256);
            }
        }
    }
    assert_eq!(count(&bytes, "BrTable"), 2);
}

#[test]
fn nobody_knows_these() {
    assert_eq!(validate(&exports_nothing()), Ok(()));
    let unheard = ("unheard-of".to_owned(), ExternalKind::Func);
    assert_eq!(exports(&exports_nothing()), [unheard]);

    let component = imports_unknown_interface();
    assert_eq!(validate(&component), Ok(()));
    assert!(component.starts_with(b"\0asm\x0d\0\x01\0"));
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&component) {
        match payload.unwrap() {
            Payload::ComponentImportSection(section) => {
                names.extend(section.into_iter().map(|it| it.unwrap().name.name));
            }
            Payload::ComponentExportSection(section) => {
                names.extend(section.into_iter().map(|it| it.unwrap().name.name));
            }
            _ => {}
        }
    }
    assert_eq!(names, ["example:unknown/thing@1.0.0", "wasi:cli/run@0.2.0"]);
}

#[test]
fn broken_files_are_refused() {
    refused(&not_wasm(), "magic header not detected");
    let component = imports_unknown_interface();
    for part in 0..10 {
        let file = truncated(&component, part, 10);
        assert_eq!(file.len(), component.len() * part / 10);
        // At a boundary between two sections what is left is valid, and another component.
        if let Ok(()) = validate(file) {
            assert!(file.len() < component.len());
        }
    }
    refused(truncated(&component, 10, 10), "unexpected end");
    assert_eq!(truncated(&[], 1, 2), []);
    assert_eq!(truncated(&[1, 2], 1, 0), [1]);
}

#[test]
fn corruption_follows_its_seed() {
    let module = grows_memories(10);
    assert_eq!(corrupted(&module, 1, 5), corrupted(&module, 1, 5));
    assert_ne!(corrupted(&module, 1, 5), corrupted(&module, 2, 5));
    assert_eq!(corrupted(&module, 1, 0), module);
    assert_eq!(corrupted(b"\0asm\x01\0\0\0", 1, 5), b"\0asm\x01\0\0\0");
    let mut valid = 0;
    for seed in 0..200 {
        let file = corrupted(&module, seed, 1);
        let differing = file.iter().zip(&module).filter(|(a, b)| a != b).count();
        assert_eq!((file.len(), differing), (module.len(), 1));
        assert_eq!(file[..8], module[..8]);
        valid += usize::from(validate(&file).is_ok());
    }
    assert!(valid < 150, "{valid} of 200 changes went unnoticed");
}
