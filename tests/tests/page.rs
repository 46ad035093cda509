//! The page of `examples/reads` in a browser, as a person uses it.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strand_tests::fastq::{by_position, count, reads};
use strand_tests::{Browser, Draws, Server, Signal, reads_app};

/// The bases of lambda.
const LAMBDA: usize = 48_502;
/// Those of either read, unless a request says.
const READ: usize = 70;
/// The most bins of an axis of places, as counts.js has it.
const PLACE_BINS: usize = 240;

/// A page that has its references.
async fn opened(server: &Server) -> Option<Browser> {
    let browser = Browser::start().await?;
    browser.open(&server.url("/")).await;
    browser
        .wait_until("document.querySelector('[name=reference]').value === 'lambda'")
        .await;
    Some(browser)
}

async fn text(browser: &Browser, selector: &str) -> String {
    // Also of what is not shown.
    let script = format!("return document.querySelector('{selector}').textContent");
    browser.run(&script).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_form_s_request_gives_what_curl_gets() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    let state = text(&browser, "#references-state").await;
    assert_eq!(state, "48,502 bases in 1 sequence");
    browser.fill("[name=n]", "2000").await;
    browser.fill("[name=seed]", "42").await;
    browser.choose("[name=output]", "1").await;
    let command = text(&browser, "#curl").await;
    let url = server.url("/reads?reference=lambda&n=2000&seed=42&mate=1");
    assert_eq!(command, format!("curl '{url}'"));

    browser.click("#run").await;
    browser
        .wait_until("document.getElementById('state').textContent.startsWith('Done')")
        .await;
    let expected = server
        .get("/reads?reference=lambda&n=2000&seed=42&mate=1")
        .await;
    let first: Vec<&str> = expected.text().lines().take(24).collect();
    let shown = text(&browser, "#first").await;
    assert_eq!(shown.lines().collect::<Vec<_>>(), first);
    assert_eq!(text(&browser, "#records").await, "2,000");
    assert_eq!(text(&browser, "#seed").await, "42");
    assert_eq!(
        browser
            .run("return document.getElementById('progress').value")
            .await,
        1
    );
    browser.close().await;
}

#[tokio::test]
async fn a_problem_is_shown_at_its_field() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    browser.click("summary").await;
    // Longer than the genome, which only the function can know.
    browser.fill("[name=length1]", "60000").await;
    browser.click("#run").await;
    browser
        .wait_until("!document.getElementById('problem').hidden")
        .await;
    let detail = text(&browser, "#problem-detail").await;
    assert!(detail.contains("length1"), "{detail}");
    let marked = "return document.querySelector('[aria-invalid=true]').name";
    assert_eq!(browser.run(marked).await, "length1");
    browser.close().await;
}

#[tokio::test]
async fn cancel_ends_the_function() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    browser.fill("[name=n]", "100000000").await;
    browser.click("#run").await;
    browser
        .wait_until("document.getElementById('records').textContent.length > 3")
        .await;
    let progress = browser
        .run("return document.getElementById('progress').value")
        .await;
    let progress = progress.as_f64().unwrap();
    assert!(progress > 0.0 && progress < 1.0, "{progress}");
    // The same reads without errors may be on their way as well.
    assert!(server.metric("strand_instances").await >= 1.0);
    browser.click("#cancel").await;
    browser
        .wait_until("document.getElementById('state').textContent === 'Cancelled.'")
        .await;
    let end = Instant::now() + Duration::from_secs(20);
    while server.metric("strand_instances").await > 0.0 {
        assert!(Instant::now() < end, "the function runs on");
    }
    browser.close().await;
}

#[tokio::test]
async fn what_breaks_off_is_told() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    browser.fill("[name=n]", "100000000").await;
    browser.click("#run").await;
    browser
        .wait_until("document.getElementById('records').textContent.length > 3")
        .await;
    server.signal(Signal::KILL);
    browser
        .wait_until("!document.getElementById('problem').hidden")
        .await;
    let title = text(&browser, "#problem-title").await;
    assert_eq!(title, "The answer broke off");
    assert!(text(&browser, "#insert-mean").await.starts_with(['4', '5']));
    browser.close().await;
}

/// The mean of each bin of an axis of places.
fn binned(values: &[f64]) -> Vec<f64> {
    let width = values.len().div_ceil(PLACE_BINS);
    let bins = values.chunks(width);
    bins.map(|bin| bin.iter().sum::<f64>() / bin.len() as f64)
        .collect()
}

/// Pairs in each bin of insert sizes, with the distance and its deviation as they are by default.
fn sizes_binned(sizes: &[f64]) -> Vec<f64> {
    let mut bins = vec![0.0; 100];
    for size in sizes.iter().filter(|size| (250.0..750.0).contains(*size)) {
        bins[((size - 250.0) / 5.0) as usize] += 1.0;
    }
    bins
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn assert_near(found: f64, expected: f64, what: &str) {
    let most = 1e-9 * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= most,
        "{what}: {found}, not {expected}"
    );
}

fn assert_all_near(found: &Value, expected: &[f64], what: &str) {
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_near(found.as_f64().unwrap(), *expected, what);
    }
}

/// Looks for numbers that the page tells, each as exactly as it has it.
async fn assert_told(browser: &Browser, expected: &[(&str, f64)]) {
    for (id, expected) in expected {
        let script = format!("return Number(document.getElementById('{id}').value)");
        let found = browser.run(&script).await;
        assert_near(found.as_f64().unwrap(), *expected, id);
    }
}

fn least_and_most(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::MAX, f64::MIN), |(least, most), value| {
            (least.min(*value), most.max(*value))
        })
}

/// How high a plot's area reaches in each column of pixels between its axes.
const HEIGHTS: &str = "
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const canvas = document.getElementById('PLOT');
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    const alpha = (x, y) => data[4 * (y * width + x) + 3];
    // The lowest of the lines across is the axis, and all are as long.
    let [left, right, bottom] = [0, 0, 0];
    for (let y = 0; y < height; y += 1) {
        for (let x = 0, from = 0; x <= width; x += 1) {
            if (x < width && alpha(x, y) > 150) continue;
            if (x - from >= right - left) [left, right, bottom] = [from, x, y];
            from = x + 1;
        }
    }
    const probe = document.createElement('canvas').getContext('2d');
    probe.fillStyle = getComputedStyle(canvas).getPropertyValue('--plot-area');
    probe.fillRect(0, 0, 1, 1);
    const area = probe.getImageData(0, 0, 1, 1).data;
    // Edges of lines are as thin, but of another colour.
    const isArea = (x, y) => area.every((part, k) => Math.abs(data[4 * (y * width + x) + k] - part) < 8);
    const heights = [];
    for (let x = left; x < right; x += 1) {
        // Above is the title of the axis.
        let y = Math.round(20 * devicePixelRatio);
        while (y < bottom && !isArea(x, y)) y += 1;
        heights.push(bottom - y);
    }
    return heights;";

/// How high a plot reaches in the middle of each of so many bins.
async fn heights(browser: &Browser, plot: &str, bins: usize) -> Vec<f64> {
    let columns = browser.run_async(&HEIGHTS.replace("PLOT", plot)).await;
    let columns = columns.as_array().unwrap_or_else(|| panic!("{columns}"));
    // Next to a step lies its line.
    assert!(columns.len() > 3 * bins, "{} columns", columns.len());
    let middle = |bin: usize| &columns[(2 * bin + 1) * columns.len() / (2 * bins)];
    (0..bins).map(|bin| middle(bin).as_f64().unwrap()).collect()
}

/// Pearson's coefficient.
fn correlation(first: &[f64], second: &[f64]) -> f64 {
    let (m, n) = (mean(first), mean(second));
    let sum = |of: fn(f64, f64) -> f64| -> f64 {
        let both = first.iter().zip(second);
        both.map(|(x, y)| of(x - m, y - n)).sum()
    };
    sum(|x, y| x * y) / (sum(|x, _| x * x) * sum(|_, y| y * y)).sqrt()
}

/// An answer has come to its end, and so many bases of it are compared.
fn done_and_compared(bases: f64) -> String {
    format!(
        "document.getElementById('state').textContent.startsWith('Done') \
         && Number(document.getElementById('compared-bases').value) === {bases}"
    )
}

#[tokio::test]
async fn the_plots_are_drawn_from_the_reads() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    browser.fill("[name=n]", "3000").await;
    browser.fill("[name=seed]", "42").await;
    browser.choose("[name=mode]", "windowed").await;
    browser.click("#run").await;

    let path = "/reads?reference=lambda&n=3000&seed=42&mode=windowed";
    let (answer, right) = (
        server.get(path).await,
        server.get(&format!("{path}&error=0")).await,
    );
    let (answer, right) = (reads(answer.text()), reads(right.text()));
    let expected = count(&answer, &[("gi|9626243|ref|NC_001416.1|", LAMBDA)]);
    let (wrong, seen) = by_position(&answer, &right);
    let (misread, compared) = (wrong.iter().sum::<f64>(), seen.iter().sum::<f64>());
    // What is compared is the truth, which the names count, and is as often wrong as it is to be.
    assert_eq!(misread, expected.misread as f64);
    assert_eq!(compared, expected.bases as f64);
    let z = (misread / compared - 0.02) / (0.02 * 0.98 / compared).sqrt();
    assert!(z.abs() < 4.0, "{z}");

    browser.wait_until(&done_and_compared(compared)).await;
    let pairs = expected.sizes.len() as f64;
    let centre = mean(&expected.sizes);
    let squares: Vec<f64> = expected
        .sizes
        .iter()
        .map(|s| (s - centre).powi(2))
        .collect();
    let (depth, starts) = (binned(&expected.depth), binned(&expected.starts));
    let (least_depth, most_depth) = least_and_most(&depth);
    let (least_starts, most_starts) = least_and_most(&starts);
    let told = [
        ("pairs", pairs),
        ("insert-mean", centre),
        ("insert-deviation", mean(&squares).sqrt()),
        ("compared-rate", misread / compared),
        (
            "named-rate",
            expected.misread as f64 / expected.bases as f64,
        ),
        ("depth-mean", expected.bases as f64 / LAMBDA as f64),
        ("depth-least", least_depth),
        ("depth-most", most_depth),
        ("starts-mean", 1000.0 * pairs / LAMBDA as f64),
        ("starts-least", 1000.0 * least_starts),
        ("starts-most", 1000.0 * most_starts),
    ];
    assert_told(&browser, &told).await;

    let rates: Vec<f64> = wrong.iter().zip(&seen).map(|(w, s)| w / s).collect();
    for (plot, bins) in [
        ("inserts-plot", sizes_binned(&expected.sizes)),
        ("errors-plot", rates),
        ("depth-plot", depth),
        ("starts-plot", starts),
    ] {
        let drawn = heights(&browser, plot, bins.len()).await;
        let alike = correlation(&drawn, &bins);
        assert!(alike > 0.98, "{plot}: {alike}; {drawn:?} for {bins:?}");
    }

    // The variants have no reads.
    browser.choose("[name=output]", "variants").await;
    browser.click("#run").await;
    browser
        .wait_until(
            "document.getElementById('state').textContent.startsWith('Done') \
             && !document.getElementById('plots').checkVisibility()",
        )
        .await;
    browser.close().await;
}

/// Sequences with a name that looks like a read's, runs of N, and one that is too short for a pair.
const MANY: [(&str, usize); 3] = [("1_2_0:0:0", 230_000), ("short", 120), ("two", 30_000)];

fn many() -> String {
    let mut draws = Draws(11);
    let mut text = String::new();
    for (name, length) in MANY {
        text.push_str(&format!(">{name}\n"));
        for position in 0..length {
            let base = draws.of(&["A", "C", "G", "T"]);
            let is_unknown = name == "two" && position % 1000 < 5;
            text.push_str(if is_unknown { "N" } else { base });
        }
        text.push('\n');
    }
    text
}

/// Counts an answer with the page's own modules, in pieces of several sizes.
const COUNTS: &str = "
    const names = ['fastq', 'counts', 'compare'];
    const [fastq, counts, compare] = await Promise.all(names.map((name) => import(`/${name}.js`)));
    const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
    const [body, right] = await Promise.all([bytes('PATH'), bytes('PATH&error=0')]);
    return [1, 7, 1000, body.length].map((size) => {
        const all = counts.createCounts(ASKED);
        const comparison = compare.createComparison(ASKED);
        const first = fastq.createParser((bytes, nameFrom, nameTo, from, to) => {
            all.add(bytes, nameFrom, nameTo, from, to);
            comparison.addRead(bytes, from, to);
        });
        const second = fastq.createParser((bytes, nameFrom, nameTo, from, to) => {
            comparison.addRight(bytes, from, to);
        });
        for (let at = 0; at < Math.max(body.length, right.length); at += size) {
            first.push(body.subarray(at, at + size));
            second.push(right.subarray(at, at + size));
            comparison.compare();
        }
        first.end();
        second.end();
        const { inserts, depth, starts } = all.numbers();
        const { seen, wrong } = comparison.numbers();
        return {
            sizes: [...inserts.counts],
            depth: [...depth.bins],
            starts: [...starts.counts],
            seen: [...seen],
            wrong: [...wrong],
        };
    });";

#[tokio::test]
async fn counts_do_not_depend_on_the_pieces() {
    let app = reads_app();
    app.write("genomes/many.fa", many());
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    let path = "/reads?reference=many&n=600&seed=7&ambiguous=1";
    let (answer, right) = (
        server.get(path).await,
        server.get(&format!("{path}&error=0")).await,
    );
    let (answer, right) = (reads(answer.text()), reads(right.text()));
    let expected = count(&answer, &MANY);
    let (wrong, seen) = by_position(&answer, &right);
    // Some reads have N.
    assert!(seen.iter().sum::<f64>() < expected.bases as f64);
    let total: usize = MANY.iter().map(|(_, length)| length).sum();
    let width = total.div_ceil(PLACE_BINS);
    let starts: Vec<f64> = expected
        .starts
        .chunks(width)
        .map(|bin| bin.iter().sum())
        .collect();

    let sequences = MANY.map(|(name, length)| json!({ "name": name, "length": length }));
    let asked = json!({
        "sequences": sequences, "start": null, "stop": null, "pairs": 600, "lengths": [READ, READ],
        "distance": 500, "deviation": 50, "error": 0.02, "output": "both",
    });
    let script = COUNTS
        .replace("PATH", path)
        .replace("ASKED", &asked.to_string());
    let found = browser.run_async(&script).await;
    let found = found.as_array().unwrap_or_else(|| panic!("{found}"));
    assert_eq!(found.len(), 4);
    for found in found {
        assert_all_near(&found["sizes"], &sizes_binned(&expected.sizes), "sizes");
        assert_all_near(&found["depth"], &binned(&expected.depth), "depth");
        assert_all_near(&found["starts"], &starts, "starts");
        assert_all_near(&found["seen"], &seen, "seen");
        assert_all_near(&found["wrong"], &wrong, "wrong");
    }
    browser.close().await;
}

#[tokio::test]
async fn a_part_is_drawn_as_one() {
    let app = reads_app();
    app.write("genomes/many.fa", many());
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    browser.choose("[name=reference]", "many").await;
    browser.choose("[name=chrom]", MANY[0].0).await;
    browser.choose("[name=mode]", "windowed").await;
    browser.fill("[name=n]", "5000").await;
    browser.fill("[name=seed]", "7").await;
    browser.click("summary").await;
    browser.fill("[name=start]", "100000").await;
    browser.fill("[name=stop]", "200000").await;
    let command = text(&browser, "#curl").await;
    assert!(command.ends_with("&start=100000&stop=200000'"), "{command}");
    browser.click("#run").await;

    let path = "/reads?reference=many&chrom=1_2_0:0:0&n=5000&seed=7&mode=windowed&start=100000&stop=200000";
    let answer = server.get(path).await;
    let answer = reads(answer.text());
    let expected = count(&answer, &MANY[..1]);
    let bases = expected.bases as f64;
    browser.wait_until(&done_and_compared(bases)).await;
    // Pairs that begin in the part, or before it, reach as far as the distance and five deviations.
    let drawn = 100_000 - 750..200_000 + 750;
    let (least, most) = least_and_most(&binned(&expected.depth[drawn.clone()]));
    let (_, most_starts) = least_and_most(&binned(&expected.starts[drawn]));
    let told = [
        ("depth-mean", bases / 100_000.0),
        ("depth-least", least),
        ("depth-most", most),
        ("starts-mean", expected.sizes.len() as f64 / 100.0),
        ("starts-most", 1000.0 * most_starts),
    ];
    assert_told(&browser, &told).await;
    browser.close().await;
}

/// Waits for ten frames before each of which more reads were shown.
const TEN_FRAMES: &str = "
    const seen = new Set();
    while (seen.size < 10) {
        await new Promise(requestAnimationFrame);
        seen.add(document.getElementById('records').textContent);
    }
    return document.getElementById('state').textContent;";

#[tokio::test]
async fn the_page_answers_while_reads_stream() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    // To its end, after which the page would know of the requests that it made itself.
    browser.click("#run").await;
    let all = (2 * 1000 * READ) as f64;
    browser.wait_until(&done_and_compared(all)).await;
    let loaded = "return performance.getEntriesByType('resource').map(({ name }) => name)";
    let loaded = browser.run(loaded).await;
    let loaded = loaded.as_array().unwrap();
    let has = |what: &str| {
        let mut names = loaded.iter().map(|name| name.as_str().unwrap());
        names.any(|name| name.contains(what))
    };
    assert!(has("/references") && has("/worker.js"), "{loaded:?}");
    assert!(
        !has("/reads?"),
        "the page reads the answer itself: {loaded:?}"
    );

    browser.fill("[name=n]", "100000000").await;
    browser.choose("[name=mode]", "windowed").await;
    browser.click("#run").await;
    browser
        .wait_until("document.getElementById('records').textContent.length > 6")
        .await;
    assert_eq!(browser.run_async(TEN_FRAMES).await, "Receiving…");
    // The form takes what is typed, and the request follows.
    browser.fill("[name=seed]", "43").await;
    assert!(text(&browser, "#curl").await.contains("&seed=43&"));
    assert_eq!(text(&browser, "#state").await, "Receiving…");
    browser.click("#cancel").await;
    assert_eq!(text(&browser, "#state").await, "Cancelled.");
    browser.close().await;
}
