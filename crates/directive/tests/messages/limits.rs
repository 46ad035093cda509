//! Limits: units and bounds.

use std::time::Duration;

use expect_test::expect;
use strand_directive::{Limits, parse};

use crate::{check, function};

fn limits(text: &str) -> Limits {
    parse(&function(text)).directive.unwrap().functions["f"]
        .limits
        .clone()
}

#[test]
fn limits_as_written() {
    let second = Duration::from_secs(1);
    assert_eq!(
        limits(""),
        Limits {
            memory: 128 << 20,
            cpu: 30 * second,
            wall: 60 * second,
            concurrency: 64,
            queue: 64,
            body: 8 << 20
        }
    );
    assert_eq!(
        limits("limits: { memory: 4Gi, cpu: 24h, wall: 1ms, concurrency: 65536, body: 64Gi }"),
        Limits {
            memory: 4 << 30,
            cpu: 86_400 * second,
            wall: second / 1000,
            concurrency: 65_536,
            queue: 65_536,
            body: 64 << 30
        }
    );
    assert_eq!(
        limits("limits: { memory: 64Ki, cpu: 1ms, wall: 10m, concurrency: 1, queue: 0, body: 0 }"),
        Limits {
            memory: 64 << 10,
            cpu: second / 1000,
            wall: 600 * second,
            concurrency: 1,
            queue: 0,
            body: 0
        }
    );
    assert_eq!(
        limits("limits: { queue: 65536, memory: 0x100000, body: '512' }"),
        Limits {
            queue: 65_536,
            memory: 1 << 20,
            body: 512,
            ..Limits::default()
        }
    );
    assert_eq!(
        limits("limits: { memory: 1048576, body: +10 }"),
        Limits {
            memory: 1 << 20,
            body: 10,
            ..Limits::default()
        }
    );
}

#[test]
fn units() {
    check(
        &function("limits: { memory: 128M, body: 1 MB, cpu: 30, wall: 1m30s }"),
        expect![[r#"
            error 9:25 |128M| spec.functions.f.limits.memory
              `128M` is not a size
                did you mean `128Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 9:37 |1 MB| spec.functions.f.limits.body
              `1 MB` is not a size
                did you mean `1Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 9:48 |30| spec.functions.f.limits.cpu
              `30` is not a duration
                did you mean `30s`? the units are `ms`, `s`, `m` and `h`
            error 9:58 |1m30s| spec.functions.f.limits.wall
              `1m30s` is not a duration
                did you mean `90s`? the units are `ms`, `s`, `m` and `h`
        "#]],
    );
    check(
        &function("limits: { memory: 1.5Gi, body: 1.5, cpu: 1.5s, wall: 2min }"),
        expect![[r#"
            error 9:25 |1.5Gi| spec.functions.f.limits.memory
              `1.5Gi` is not a size
                did you mean `1536Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 9:38 |1.5| spec.functions.f.limits.body
              `1.5` is not a size
                write a whole number and a unit; the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 9:48 |1.5s| spec.functions.f.limits.cpu
              `1.5s` is not a duration
                did you mean `1500ms`? the units are `ms`, `s`, `m` and `h`
            error 9:60 |2min| spec.functions.f.limits.wall
              `2min` is not a duration
                did you mean `2m`? the units are `ms`, `s`, `m` and `h`
        "#]],
    );
    check(
        &function("limits: { memory: lots, body: -1Mi, cpu: fast, wall: -5s }"),
        expect![[r#"
            error 9:25 |lots| spec.functions.f.limits.memory
              `lots` is not a size
                write a whole number and a unit; the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 9:37 |-1Mi| spec.functions.f.limits.body
              `-1Mi` is not a size
                write a whole number and a unit; the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 9:48 |fast| spec.functions.f.limits.cpu
              `fast` is not a duration
                write a whole number and a unit; the units are `ms`, `s`, `m` and `h`
            error 9:60 |-5s| spec.functions.f.limits.wall
              `-5s` is not a duration
                write a whole number and a unit; the units are `ms`, `s`, `m` and `h`
        "#]],
    );
    check(
        &function("limits: { memory: 12Pi, cpu: 5us }"),
        expect![[r#"
            error 9:25 |12Pi| spec.functions.f.limits.memory
              `12Pi` is not a size
                write a whole number and a unit; the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 9:36 |5us| spec.functions.f.limits.cpu
              `5us` is not a duration
                write a whole number and a unit; the units are `ms`, `s`, `m` and `h`
        "#]],
    );
}

#[test]
fn bounds() {
    check(
        &function(
            "limits: { memory: 65535, cpu: 0s, wall: 0ms, concurrency: 0, queue: -1, body: -1 }",
        ),
        expect![[r#"
            error 9:25 |65535| spec.functions.f.limits.memory
              `memory` must be from `64Ki` to `4Gi`, found `65535`
            error 9:37 |0s| spec.functions.f.limits.cpu
              `cpu` must be from `1ms` to `24h`, found `0s`
            error 9:47 |0ms| spec.functions.f.limits.wall
              `wall` must be from `1ms` to `24h`, found `0ms`
            error 9:65 |0| spec.functions.f.limits.concurrency
              `concurrency` must be from `1` to `65536`, found `0`
            error 9:75 |-1| spec.functions.f.limits.queue
              `queue` must be from `0` to `65536`, found `-1`
            error 9:85 |-1| spec.functions.f.limits.body
              `body` must be from `0` to `64Gi`, found `-1`
        "#]],
    );
    check(
        &function(
            "limits: { memory: 5Gi, cpu: 25h, wall: 86400001ms, concurrency: 65537, queue: 65537, body: 65Gi }",
        ),
        expect![[r#"
            error 9:25 |5Gi| spec.functions.f.limits.memory
              `memory` must be from `64Ki` to `4Gi`, found `5Gi`
            error 9:35 |25h| spec.functions.f.limits.cpu
              `cpu` must be from `1ms` to `24h`, found `25h`
            error 9:46 |86400001ms| spec.functions.f.limits.wall
              `wall` must be from `1ms` to `24h`, found `86400001ms`
            error 9:71 |65537| spec.functions.f.limits.concurrency
              `concurrency` must be from `1` to `65536`, found `65537`
            error 9:85 |65537| spec.functions.f.limits.queue
              `queue` must be from `0` to `65536`, found `65537`
            error 9:98 |65Gi| spec.functions.f.limits.body
              `body` must be from `0` to `64Gi`, found `65Gi`
        "#]],
    );
    check(
        &function("limits: { memory: 4294967297, body: 68719476737 }"),
        expect![[r#"
            error 9:25 |4294967297| spec.functions.f.limits.memory
              `memory` must be from `64Ki` to `4Gi`, found `4294967297`
            error 9:43 |68719476737| spec.functions.f.limits.body
              `body` must be from `0` to `64Gi`, found `68719476737`
        "#]],
    );
}

#[test]
fn huge_numbers() {
    check(
        &function(
            "limits:\n  memory: 99999999999999999999999999999999999999999999999999\n  body: 18446744073709551616\n  cpu: 99999999999999999999h\n  wall: 5124095576031h\n  concurrency: 4294967297\n  queue: 1e99",
        ),
        expect![[r#"
            error 10:17 |99999999999999999999999999999999999999999999999999| spec.functions.f.limits.memory
              `memory` must be from `64Ki` to `4Gi`, found `99999999999999999999999999999999999999999999999999`
            error 11:15 |18446744073709551616| spec.functions.f.limits.body
              `body` must be from `0` to `64Gi`, found `18446744073709551616`
            error 12:14 |99999999999999999999h| spec.functions.f.limits.cpu
              `99999999999999999999h` is too large to be counted
            error 13:15 |5124095576031h| spec.functions.f.limits.wall
              `5124095576031h` is too large to be counted
            error 14:22 |4294967297| spec.functions.f.limits.concurrency
              `concurrency` must be from `1` to `65536`, found `4294967297`
            error 15:16 |1e99| spec.functions.f.limits.queue
              `queue` must be a whole number, found the number `1e99`
        "#]],
    );
    check(
        &function(
            "limits: { memory: 17179869184Gi, concurrency: 0xffffffffffffffffffffffffffffffffffff }",
        ),
        expect![[r#"
            error 9:25 |17179869184Gi| spec.functions.f.limits.memory
              `17179869184Gi` is too large to be counted
            error 9:53 |0xffffffffffffffffffffffffffffffffffff| spec.functions.f.limits.concurrency
              `concurrency` must be from `1` to `65536`, found `0xffffffffffffffffffffffffffffffffffff`
        "#]],
    );
}

#[test]
fn types() {
    check(
        &function(
            "limits: { memory: [1], cpu: {}, wall: true, concurrency: many, queue: 1.5, body: }",
        ),
        expect![[r#"
            error 9:17 |memory| spec.functions.f.limits.memory
              `memory` must be a size such as `64Mi`, found a list
            error 9:30 |cpu| spec.functions.f.limits.cpu
              `cpu` must be a duration such as `30s`, found a mapping
            error 9:45 |true| spec.functions.f.limits.wall
              `wall` must be a duration such as `30s`, found the boolean `true`
            error 9:64 |many| spec.functions.f.limits.concurrency
              `concurrency` must be a whole number, found the text `many`
            error 9:77 |1.5| spec.functions.f.limits.queue
              `queue` must be a whole number, found the number `1.5`
            error 9:82 |body| spec.functions.f.limits.body
              `body` must be a size such as `64Mi`, found nothing
        "#]],
    );
    check(
        &function("limits: { memory: false, cpu: , concurrency: '16' }"),
        expect![[r#"
            error 9:25 |false| spec.functions.f.limits.memory
              `memory` must be a size such as `64Mi`, found the boolean `false`
            error 9:32 |cpu| spec.functions.f.limits.cpu
              `cpu` must be a duration such as `30s`, found nothing
            error 9:52 |'16'| spec.functions.f.limits.concurrency
              `concurrency` must be a whole number, found the text `16`
        "#]],
    );
    check(
        &function("limits: 128Mi"),
        expect![[r#"
        error 9:15 |128Mi| spec.functions.f.limits
          `limits` must be a mapping, found the text `128Mi`
    "#]],
    );
}
